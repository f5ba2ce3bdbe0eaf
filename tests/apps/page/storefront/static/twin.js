const list = document.getElementById("list");
askPrices(1).then((prices) => showPrices(list, prices));
document.getElementById("sort").addEventListener("click", () => {
  const rows = [...list.children].sort((a, b) => a.textContent.localeCompare(b.textContent));
  list.replaceChildren(...rows);
});
document.getElementById("search").addEventListener("input", (event) => {
  const wanted = event.target.value;
  for (const row of list.children) row.hidden = !row.textContent.includes(wanted);
});
