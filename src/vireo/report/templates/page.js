"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const get = (id) => document.getElementById(id);
  const colours = ["#d55e00", "#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7a7a7a"];

  // Plotly reads a little markup in its texts; names are names.
  const plain = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  const theme = () => {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    return { paper: colour("--paper"), ink: colour("--ink"), soft: colour("--soft"), line: colour("--line") };
  };

  const layout = (more) => {
    const now = theme();
    const axis = { gridcolor: now.line, zerolinecolor: now.line, linecolor: now.line, automargin: true };
    return {
      paper_bgcolor: now.paper, plot_bgcolor: now.paper, showlegend: false,
      font: { family: "system-ui, sans-serif", color: now.ink, size: 13 },
      margin: { l: 60, r: 30, t: 30, b: 60 }, ...more,
      xaxis: { ...axis, ...more.xaxis }, yaxis: { ...axis, ...more.yaxis },
    };
  };
  const config = { responsive: true, displaylogo: false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] };

  function drawScatter() {
    const x = Number(get("x-task").value), y = Number(get("y-task").value);
    const both = data.encoders
      .map((encoder, index) => ({ ...encoder, index, x: data.points[x][index], y: data.points[y][index] }))
      .filter((point) => point.x && point.y);
    const bars = (key) => ({
      type: "data", symmetric: false, thickness: 1, width: 3, color: theme().soft,
      array: both.map((p) => p[key][2] - p[key][0]), arrayminus: both.map((p) => p[key][0] - p[key][1]),
    });
    const middle = (Math.min(...both.map((p) => p.x[0])) + Math.max(...both.map((p) => p.x[0]))) / 2;
    const trace = {
      type: "scatter", mode: "markers+text", cliponaxis: false,
      x: both.map((p) => p.x[0]), y: both.map((p) => p.y[0]), error_x: bars("x"), error_y: bars("y"),
      text: both.map((p) => plain(p.name)), textposition: both.map((p, i) => `${i % 2 ? "bottom" : "top"} ${p.x[0] > middle ? "left" : "right"}`),
      hovertemplate: "%{text}<br>%{x:.4~g}, %{y:.4~g}<extra></extra>",
      marker: {
        size: 11, color: both.map((p) => colours[p.index % colours.length]),
        symbol: both.map((p) => (p.baseline ? "diamond" : "circle")),
      },
    };
    const titled = (task) => ({ title: { text: plain(data.tasks[task].axis) } });
    Plotly.react("scatter", [trace], layout({ xaxis: titled(x), yaxis: titled(y) }), config);
  }

  function drawCorrelation() {
    if (!data.correlation) return;
    const values = data.correlation[get("coefficient").value];
    const names = data.tasks.map((task) => plain(task.name));
    const trace = {
      type: "heatmap", x: names, y: names, z: values, zmin: -1, zmax: 1, colorscale: [
        [0, "#b2182b"], [0.25, "#f4a582"], [0.5, "#f7f7f7"], [0.75, "#92c5de"], [1, "#2166ac"],
      ],
      xgap: 2, ygap: 2, hovertemplate: "%{x}, %{y}: %{z:.2f}<extra></extra>", hoverongaps: false,
      colorbar: { thickness: 12, outlinewidth: 0 },
    };
    const annotations = [];
    values.forEach((row, i) => row.forEach((value, j) => {
      if (value === null) return;
      const color = Math.abs(value) > 0.6 ? "#ffffff" : "#1c1f22";
      annotations.push({ x: names[j], y: names[i], text: value.toFixed(2).replace("-", "−"), showarrow: false, font: { size: 12, color } });
    }));
    const axes = { xaxis: { showgrid: false, type: "category" }, yaxis: { showgrid: false, autorange: "reversed", type: "category" } };
    Plotly.react("correlation", [trace], layout({ ...axes, annotations }), config);
  }

  function sortBy(header) {
    const table = header.closest("table"), body = table.tBodies[0];
    const column = [...header.parentNode.children].indexOf(header);
    const down = header.getAttribute("aria-sort") !== "descending";
    const key = (row) => row.children[column].dataset.value ?? row.children[column].textContent.trim();
    const order = (a, b) => {
      const [first, second] = [key(a), key(b)];
      if (first === "" || second === "") return (first === "") - (second === "");
      const difference = isNaN(first) || isNaN(second) ? second.localeCompare(first) : first - second;
      return down ? -difference : difference;
    };
    [...body.rows].sort(order).forEach((row) => body.append(row));
    for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  const draw = () => { drawScatter(); drawCorrelation(); };
  for (const id of ["x-task", "y-task"]) get(id).addEventListener("change", drawScatter);
  if (data.correlation) get("coefficient").addEventListener("change", drawCorrelation);
  for (const button of document.querySelectorAll("button.sort")) {
    button.addEventListener("click", () => sortBy(button.closest("th")));
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
  draw();
})();
