function showPrices(list, prices) {
  list.replaceChildren(...prices.map((price) => {
    const row = document.createElement("div");
    row.className = "product";
    row.textContent = price.name + ": " + price.value;
    return row;
  }));
}
function askPrices(shelf) {
  return fetch("/api/prices?shelf=" + shelf).then((answer) => answer.json());
}
