const series = [1, 2, 3, 4, 5, 6, 7, 8].map((number) => `--series-${number}`);
const symbols = ["circle", "square", "triangle-up", "cross", "star"];

// Plotly reads a little markup and formulas between dollars in its texts; names are names.
const plain = (text) => text.replace(/[&<>$]/g, (letter) => `&#${letter.charCodeAt()};`);
const brief = (text, most = 28) => (text.length > most ? `${text.slice(0, most - 9)}…${text.slice(-8)}` : text);

// A colour of the style as plotly understands it, whichever theme holds.
function colour(name) {
  const probe = get("tip");
  const before = probe.style.color;
  probe.style.color = `var(${name})`;
  const found = getComputedStyle(probe).color;
  probe.style.color = before;
  return found;
}

function layout(more) {
  const [paper, ink, line] = ["--paper", "--ink", "--line"].map(colour);
  const axis = { gridcolor: line, zerolinecolor: line, linecolor: line, automargin: true };
  return {
    paper_bgcolor: paper, plot_bgcolor: paper, showlegend: false, hovermode: "closest",
    font: { family: "system-ui, sans-serif", color: ink, size: 13 }, margin: { l: 60, r: 24, t: 24, b: 56 },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    hoverlabel: { bgcolor: ink, bordercolor: ink, font: { color: paper } },
    ...more, xaxis: { ...axis, ...more.xaxis }, yaxis: { ...axis, ...more.yaxis },
  };
}
const config = { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };

function ranks(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return values.map((value) => (sorted.indexOf(value) + sorted.lastIndexOf(value)) / 2);
}
function pearson(x, y) {
  const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const [a, b] = [mean(x), mean(y)];
  const sum = (term) => x.reduce((total, _, i) => total + term(x[i] - a, y[i] - b), 0);
  return sum((dx, dy) => dx * dy) / Math.sqrt(sum((dx) => dx * dx) * sum((_, dy) => dy * dy));
}

function pairWords(points) {
  const [x, y] = ["x", "y"].map((key) => points.map((point) => point[key][0]));
  if (points.length < 3) return `${points.length} encoders: too few for a correlation.`;
  const shown = (number) => (isNaN(number) ? "undefined" : number.toFixed(2).replace("-", "−"));
  return `Pearson r = ${shown(pearson(x, y))}, Spearman ρ = ${shown(pearson(ranks(x), ranks(y)))} over ${points.length} encoders.`;
}

function drawScatter() {
  const [x, y] = [Number(get("x-task").value), Number(get("y-task").value)];
  const by = get("colour").value, bars = get("bars").checked, named = get("labels").checked;
  const points = data.encoders
    .map((encoder, index) => ({ ...encoder, index, x: data.points[x][index], y: data.points[y][index] }))
    .filter((point) => point.x && point.y && !hidden.has(point.index));
  get("pair").textContent = pairWords(points);
  const error = (group, key) => ({
    type: "data", symmetric: false, thickness: 1, width: 0, color: colour("--soft"), visible: bars,
    array: group.map((p) => p[key][2] - p[key][0]), arrayminus: group.map((p) => p[key][0] - p[key][1]),
  });
  const middle = (Math.min(...points.map((p) => p.x[0])) + Math.max(...points.map((p) => p.x[0]))) / 2;
  const groups = [...new Set(data.encoders.map((encoder) => encoder[by]))];
  const traces = groups.map((name, number) => {
    const group = points.filter((point) => point[by] === name);
    return {
      type: "scatter", mode: named ? "markers+text" : "markers", cliponaxis: false, name: plain(brief(name)),
      x: group.map((p) => p.x[0]), y: group.map((p) => p.y[0]), error_x: error(group, "x"), error_y: error(group, "y"),
      text: group.map((p) => plain(brief(p.name))), hovertext: group.map((p) => plain(p.name)),
      textposition: group.map((p, i) => `${i % 2 ? "bottom" : "top"} ${p.x[0] > middle ? "left" : "right"}`),
      hovertemplate: "%{hovertext}<br>%{x:.4~g}, %{y:.4~g}<extra></extra>",
      marker: {
        size: 11, color: colour(series[number % 8]), line: { width: 1, color: colour("--paper") },
        symbol: group.map((p) => (p.baseline ? "diamond" : symbols[Math.floor(number / 8) % symbols.length])),
      },
    };
  }).filter((trace) => trace.x.length);
  const titled = (task) => ({ title: { text: plain(data.tasks[task].axis) } });
  Plotly.react("scatter", traces, layout({ showlegend: groups.length > 1, xaxis: titled(x), yaxis: titled(y) }), config);
}

function drawCurves() {
  const measure = get("measure"), dashes = ["solid", "dash", "dot", "dashdot"];
  const traces = data.curves.filter((run) => run.measures[measure.value]).map((run, number) => ({
    type: "scatter", mode: run.epoch.length > 1 ? "lines" : "markers", name: plain(brief(run.encoder)), connectgaps: true,
    x: run.epoch, y: run.measures[measure.value], text: run.epoch.map(() => plain(run.encoder)),
    hovertemplate: "%{text}<br>epoch %{x:.4~g}: %{y:.4~g}<extra></extra>",
    line: { width: 2, color: colour(series[number % 8]), dash: dashes[Math.floor(number / 8) % 4] },
  }));
  const words = plain(measure.selectedOptions[0].textContent);
  const axes = { xaxis: { title: { text: "epoch" } }, yaxis: { title: { text: words } } };
  Plotly.react("learning", traces, layout({ ...axes, showlegend: traces.length > 1 }), config);
}

function drawMap() {
  const [first, second, setting] = ["first", "second", "setting"].map((id) => get(id).value);
  const found = data.similarity.maps.filter((map) => map.setting === setting);
  const direct = found.find((map) => map.first === first && map.second === second);
  const turned = found.find((map) => map.first === second && map.second === first);
  const map = direct ?? (turned && {
    rows: turned.columns, columns: turned.rows, values: turned.columns.map((_, j) => turned.values.map((line) => line[j])),
  });
  const [paper, tint, ink] = ["--paper", "--tint", "--ink"].map(colour);
  const trace = {
    type: "heatmap", x: map?.columns.map(plain) ?? [], y: map?.rows.map(plain) ?? [], hoverongaps: false,
    z: map?.values.map((line) => line.map((v) => (v === null ? null : v / 1000))) ?? [], zmin: 0, zmax: 1,
    colorscale: [[0, paper], [0.6, tint], [1, ink]], xgap: 1, ygap: 1, colorbar: { thickness: 12, outlinewidth: 0 },
    hovertemplate: "%{y}, %{x}: %{z:.3f}<extra></extra>",
  };
  const titled = (name) => ({ title: { text: plain(brief(name)) }, type: "category", showgrid: false });
  const missing = map ? [] : [{ text: "not computed", showarrow: false, xref: "paper", yref: "paper", x: 0.5, y: 0.5 }];
  const axes = { xaxis: titled(second), yaxis: { ...titled(first), autorange: "reversed" }, annotations: missing };
  Plotly.react("map", [trace], layout(axes), config);
}

// Plotly's 5 MB are read when the first plot comes near the screen; till then they are text.
function plots() {
  const drawers = { scatter: drawScatter, learning: drawCurves, map: drawMap }, drawn = new Set();
  const load = () => {
    if (window.Plotly) return;
    const script = document.createElement("script");
    script.textContent = get("plotly").textContent;
    document.head.append(script);
  };
  const draw = (id) => { load(); drawn.add(id); drawers[id](); };
  const again = () => drawn.forEach((id) => drawers[id]());
  const near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting && !drawn.has(target.id)) draw(target.id);
    }
  }, { rootMargin: "500px" });
  const wanted = all(".plot");
  wanted.forEach((plot) => near.observe(plot));
  for (const plot of wanted) {
    for (const control of all("select, input", plot.parentNode)) control.addEventListener("change", () => draw(plot.id));
  }
  filtered.push(() => { if (drawn.has("scatter")) drawScatter(); });
  onTheme(again);
  addEventListener("beforeprint", () => wanted.forEach((plot) => draw(plot.id)));
}
