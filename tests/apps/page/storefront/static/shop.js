function digest(rounds) {
  let state = 1;
  for (let round = 0; round < rounds; round++) state = (state * 1103515245 + 12345 + (round % 7)) % 2147483647;
  return state;
}
document.addEventListener("DOMContentLoaded", () => {
  const list = document.getElementById("list");
  askPrices(1).then((prices) => showPrices(list, prices));
  askPrices(1).then((prices) => charts.plot7(prices.map((price) => price.value)));
  document.getElementById("sort").addEventListener("click", () => {
    digest(7000000);
    list.append("sorted");
  });
});
window.addEventListener("load", () => {
  setTimeout(() => digest(8000000), 100);
  setTimeout(() => {
    const hero = new Image();
    hero.src = "/static/hero.png";
    document.getElementById("hero").append(hero);
  }, 300);
  setTimeout(() => {
    const banner = document.createElement("div");
    banner.className = "banner";
    banner.textContent = "Free delivery this week, on everything, to everywhere!";
    document.body.prepend(banner);
  }, 900);
});
