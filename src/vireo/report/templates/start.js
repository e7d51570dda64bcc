themes();
contents();
filters();
columns();
arrows(get("score-table"), "td.score button");
arrows(get("board"), "td.strip");
heat();
plots();
hints((cell) => (cell.matches("td.score") ? scoreWords(cell) : heatWords(cell)));
for (const details of all("details.data")) details.addEventListener("toggle", () => unfold(details));
document.addEventListener("click", (event) => {
  const button = event.target.closest("button.sort");
  if (button) sortBy(button.closest("th"));
  const cell = event.target.closest("td.score");
  if (cell) origin(cell);
});
