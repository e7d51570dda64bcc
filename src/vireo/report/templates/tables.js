const value = (row, column) => row.children[column].dataset.value ?? row.children[column].textContent.trim();
const isEmpty = (text) => text === "" || text === "–";
const asNumber = (text) => (isEmpty(text) ? NaN : Number(text.replace(/−/g, "-").replace("∞", "Infinity")));

function sortBy(header) {
  const table = header.closest("table"), body = table.tBodies[0];
  const column = [...header.parentNode.children].indexOf(header);
  const keys = new Map([...body.rows].map((row) => [row, value(row, column)]));
  const numeric = [...keys.values()].every((text) => isEmpty(text) || !isNaN(asNumber(text)));
  const before = header.getAttribute("aria-sort");
  // What a reader looks for first: high numbers, low ranks, the beginning of the alphabet.
  const down = before ? before === "ascending" : numeric && !("low" in header.dataset);
  const order = (a, b) => {
    const [first, second] = [keys.get(a), keys.get(b)];
    if (isEmpty(first) || isEmpty(second)) return isEmpty(first) - isEmpty(second);
    const [left, right] = numeric ? [first, second].map(asNumber) : [first.localeCompare(second), 0];
    return left === right ? 0 : left < right === down ? 1 : -1;
  };
  body.append(...[...body.rows].sort(order));
  for (const other of all("th[aria-sort]", table)) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
}

// Encoders that the filters leave out; tables hide them, plots drop them.
const hidden = new Set();
const filtered = [];

function filters() {
  const [find, method, set, found] = ["find", "method", "set", "found"].map(get);
  const apply = () => {
    const text = find.value.trim().toLowerCase();
    hidden.clear();
    data.encoders.forEach((encoder, index) => {
      const fits = encoder.name.toLowerCase().includes(text) &&
        (!method.value || encoder.method === method.value) && (!set.value || encoder.set === set.value);
      if (!fits) hidden.add(index);
    });
    for (const row of all("tr[data-encoder]")) row.hidden = hidden.has(Number(row.dataset.encoder));
    found.textContent = hidden.size ? `${data.encoders.length - hidden.size} of ${data.encoders.length} encoders` : "";
    filtered.forEach((action) => action());
  };
  get("filters").hidden = false;
  get("filters").addEventListener("submit", (event) => event.preventDefault());
  for (const control of [find, method, set]) control.addEventListener("input", apply);
}

function columns() {
  const table = get("score-table"), family = get("family");
  get("columns").hidden = false;
  get("columns").addEventListener("submit", (event) => event.preventDefault());
  family.addEventListener("change", () => {
    for (const cell of all("[data-family]", table)) cell.hidden = family.value !== "" && cell.dataset.family !== family.value;
  });
  get("intervals").addEventListener("change", (event) => table.classList.toggle("no-intervals", !event.target.checked));
}

// The cells of a table are one stop of the tab key; arrows move between them, as in a spreadsheet.
function arrows(table, stop) {
  const first = table.querySelector(stop);
  if (first) first.tabIndex = 0;
  const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowDown: [1, 0], ArrowUp: [-1, 0] };
  table.addEventListener("focusin", (event) => {
    if (!event.target.matches(stop)) return;
    all(`${stop}[tabindex='0']`, table).forEach((other) => { other.tabIndex = -1; });
    event.target.tabIndex = 0;
  });
  table.addEventListener("keydown", (event) => {
    const step = steps[event.key], cell = event.target.closest("td");
    if (!step || !event.target.matches(stop)) return;
    event.preventDefault();
    const rows = [...table.tBodies[0].rows].filter((row) => !row.hidden);
    let row = rows.indexOf(cell.parentNode), column = cell.cellIndex;
    for (;;) {
      row += step[0];
      column += step[1];
      const next = rows[row]?.cells[column];
      if (!next) return;
      const found = next.hidden ? null : next.matches(stop) ? next : next.querySelector(stop);
      if (found) return void found.focus();
    }
  });
}

function scoreWords(cell) {
  const encoder = data.encoders[cell.parentNode.dataset.encoder], task = data.tasks[cell.dataset.task];
  const [score, interval] = [cell.querySelector("strong").textContent, cell.querySelector("small").textContent];
  return `${encoder.name} on ${task.name}: ${score} ${task.unit} (${interval})`;
}

function origin(cell) {
  const encoder = data.encoders[cell.parentNode.dataset.encoder], task = data.tasks[cell.dataset.task];
  const { texts, lines } = data.origins, dialog = get("origin"), body = dialog.querySelector("div");
  get("origin-title").textContent = `${encoder.name} on ${task.name}`;
  const list = (facts) => make("dl", {}, ...facts.flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, String(text))]));
  const rows = lines[encoder.name]?.[task.name] ?? [];
  body.replaceChildren(
    make("p", { class: "caption" }, `${scoreWords(cell)}. ${task.axis}; the mean of ${rows.length} row${rows.length === 1 ? "" : "s"}.`),
    ...rows.flatMap(([name, seed, score, n, time, seconds, machine, hyper, versions, identity, metrics]) => [
      make("h3", {}, `Seed ${seed}`),
      list([
        ["file", `results/${name}.json`], ["stored score", score], ["test examples", n], ["chosen", texts[hyper]],
        ["further metrics", texts[metrics]], ["digests", texts[identity]], ["computed", `${time}, ${seconds} s, ${texts[machine]}`],
        ["versions", texts[versions]],
      ]),
    ]),
  );
  dialog.showModal();
}

// Folded tables are made when they are opened: a page of thousands of lines opens at once.
function unfold(details) {
  if (!details.open || details.querySelector("table")) return;
  const table = data.tables[details.dataset.table];
  const kind = (column) => (table.columns[column].text ? { class: "text" } : {});
  const head = table.columns.map((column, index) =>
    make("th", { scope: "col", ...kind(index) }, make("button", { class: "sort", type: "button" }, column.name)));
  const body = table.lines.map((line) => make("tr", {}, ...line.map((text, index) => make("td", kind(index), text))));
  const bar = make("div", { class: "controls" });
  const find = make("input", { type: "search", autocomplete: "off", placeholder: "any word" });
  find.addEventListener("input", () => {
    const text = find.value.trim().toLowerCase();
    body.forEach((row) => { row.hidden = !row.textContent.toLowerCase().includes(text); });
  });
  const save = make("button", { type: "button" }, "Save as CSV");
  save.addEventListener("click", () => download(`${details.dataset.table}.csv`, [table.columns.map((c) => c.name), ...table.lines]));
  if (body.length > 8) bar.append(make("label", {}, "Find", find));
  bar.append(save, make("output", {}, `${body.length} lines${table.left_out ? `, ${table.left_out} more in the files of vireo report --tables` : ""}`));
  const inner = make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...body));
  details.append(bar, make("div", { class: "scroll tall", tabindex: "0", role: "region", "aria-label": "Table" }, inner));
}

function download(name, lines) {
  // A text that a spreadsheet would compute gets a quote, as in the files of vireo report --tables.
  const harmless = (text) => (/^[=+\-@\t\r]/.test(text) && isNaN(asNumber(text)) ? `'${text}` : text);
  const quoted = (text) => (/[",\n\r]/.test(text) ? `"${text.replace(/"/g, '""')}"` : text);
  const written = (cell) => quoted(harmless(cell).replace(/−/g, "-"));
  const text = lines.map((line) => line.map(written).join(",")).join("\n") + "\n";
  const link = make("a", { download: name, href: URL.createObjectURL(new Blob([text], { type: "text/csv" })) });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

function heatWords(cell) {
  const [row, column] = [cell.parentNode.rowIndex - 1, cell.cellIndex - 1];
  return `${data.tasks[row].name}, ${data.tasks[column].name}: ${cell.textContent}`;
}

function heat() {
  get("coefficient")?.addEventListener("change", (event) => {
    for (const cell of all("#heat td[data-all]")) {
      const number = Number(cell.dataset.all.split(" ")[Number(event.target.value)]);
      cell.style.setProperty("--v", number);
      cell.textContent = number.toFixed(2).replace("-", "−");
    }
  });
}
