"use strict";
// Adds a row for each entry of the journal as it comes; shows the report when it is there.
(() => {
  const MOST = 300;
  const at = (id) => document.getElementById(id);
  const sums = { calls: 0, tokens: 0, effects: 0 };
  const source = new EventSource(`${location.pathname}/events`);
  let state = "";
  const restart = () => {
    for (const name of Object.keys(sums)) sums[name] = 0;
    at("rows").replaceChildren();
  };
  source.onopen = restart;
  source.onmessage = ({ data }) => {
    const row = JSON.parse(data);
    const asked = row.what === "reply";
    const tokens = asked ? row.input_tokens + row.output_tokens : 0;
    sums.calls += asked;
    sums.effects += !asked;
    sums.tokens += tokens;
    for (const [name, value] of Object.entries(sums)) at(name).textContent = value.toLocaleString("en");
    const line = document.createElement("tr");
    const cells = [row.lane || "run", row.what, row.came, asked ? tokens.toLocaleString("en") : "–",
      row.seconds == null ? "–" : row.seconds.toFixed(1)];
    cells.forEach((text, index) => {
      const cell = document.createElement(index ? "td" : "th");
      if (!index) cell.scope = "row";
      if (index > 2) cell.className = "num";
      cell.textContent = text;
      line.append(cell);
    });
    at("rows").prepend(line);
    if (at("rows").childElementCount > MOST) at("rows").lastElementChild.remove();
  };
  source.addEventListener("state", ({ data }) => {
    state = data;
    at("state").textContent = data === "stopped" ? `stopped; go on with: perfcrew run --resume ${location.pathname.split("/").pop()}` : data;
    if (data === "finished") { source.close(); location.reload(); }
  });
  source.onerror = () => { if (state !== "finished") at("state").textContent = "the server is away"; };
})();
