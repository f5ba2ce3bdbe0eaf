"use strict";

function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  Object.assign(node, attributes || {});
  node.append(...children);
  return node;
}

const BODIES = {
  heatmap(data) {
    const grid = el("div", { className: "heat" });
    for (const row of data.grid) {
      for (const count of row) {
        const cell = el("i", { title: String(count) });
        cell.style.opacity = String(data.busiest ? 0.08 + (0.92 * count) / data.busiest : 0.08);
        grid.append(cell);
      }
    }
    return grid;
  },
  billing(data) {
    const list = el("dl");
    for (const row of data.projects) {
      list.append(el("dt", {}, row.project.name), el("dd", {}, row.amount.text));
    }
    list.append(el("dt", {}, "Total"), el("dd", {}, data.total.text));
    return list;
  },
  pulse(data) {
    const list = el("dl");
    for (const row of data.top) {
      list.append(el("dt", {}, `${row.rank}. ${row.person.name}`), el("dd", {}, String(row.score)));
    }
    return list;
  },
  rank: (data) => el("p", {}, `Rank ${data.rank}, ahead of or level with ${data.percentile} %`),
  inbox(data) {
    const list = el("ul", { id: "inbox-tile" });
    for (const message of data.latest) {
      list.append(el("li", {}, message.body));
    }
    return list;
  },
  goal: (data) => el("p", {}, `${data.points} of ${data.goal} points (${data.percent} %)`),
  streak: (data) => el("p", {}, `${data.days} days in a row`),
  focus: (data) => el("p", {}, data.project ? `${data.project.name}: ${data.time} in ${data.entries} entries` : "–"),
  note: (data) => el("p", {}, data.text),
};

function showTile(widget) {
  return el("article", { className: "tile" }, el("h3", {}, widget.title), BODIES[widget.kind](widget.data));
}

function showEntry(item) {
  return el(
    "li",
    {},
    el("span", { className: "avatar" }, item.actor.initials),
    el("span", {}, item.title, el("br"), el("small", {}, `${item.project.name} · ${item.created.day} ${item.created.time}`)),
    el("span", {}, item.billable ? item.amount.text : ""),
  );
}

async function load(userId) {
  const response = await fetch(`/api/dashboard?user_id=${userId}`);
  const data = await response.json();
  document.getElementById("greeting").textContent = `${data.user.name}, ${data.team.name}`;
  document.getElementById("unread").textContent = String(data.unread_notifications);
  document.getElementById("widgets").replaceChildren(...data.widgets.map(showTile));
  document.getElementById("entries").replaceChildren(...data.activity.items.map(showEntry));
}

async function search(userId, words) {
  const hits = document.getElementById("hits");
  if (words.length < 2) {
    hits.hidden = true;
    return;
  }
  const response = await fetch(`/api/search?user_id=${userId}&q=${encodeURIComponent(words)}`);
  const data = await response.json();
  hits.replaceChildren(...data.hits.map((hit) => el("li", {}, `${hit.title} (${hit.kind}, ${hit.hint})`)));
  hits.hidden = false;
}

document.addEventListener("DOMContentLoaded", () => {
  const userId = document.body.dataset.userId;
  document.getElementById("q").addEventListener("input", (event) => search(userId, event.target.value));
  load(userId);
});
