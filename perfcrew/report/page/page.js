"use strict";
// Everything on the page can be read without this script. It adds: reading values off plots, zoom, hiding a version,
// and going into a flame graph, each by pointer and by keyboard.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const LEFT = 52, RIGHT = 448, TOP = 14, GROUND = 226, STEPS = 400;

  const make = (tag, attributes = {}, text = "") => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    if (text) element.textContent = text;
    return element;
  };
  const build = (tag, properties = {}, ...children) => {
    const { label, ...others } = properties;
    const element = Object.assign(document.createElement(tag), others);
    if (label) element.setAttribute("aria-label", label);
    element.append(...children);
    return element;
  };
  const show = (given) => {
    const value = given || 0;  // no minus zero
    if (!Number.isFinite(given)) return "–";
    const digits = value === 0 ? 0 : Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))));
    return value.toLocaleString("en", { maximumFractionDigits: Math.min(digits, 6) });
  };

  class Axis {
    constructor({ low, high, log }, start, end) { Object.assign(this, { low, high, log, start, end }); }
    bend(value) { return this.log ? Math.log10(Math.max(value, 1e-12)) : value; }
    part(value) { return (this.bend(value) - this.bend(this.low)) / (this.bend(this.high) - this.bend(this.low) || 1); }
    place(value) { return this.start + this.part(value) * (this.end - this.start); }
    at(part) {
      const bent = this.bend(this.low) + part * (this.bend(this.high) - this.bend(this.low));
      return this.log ? 10 ** bent : bent;
    }
    ticks() {
      const span = this.high - this.low;
      if (this.log && this.high / this.low > 3) {
        const found = [];
        for (let power = Math.floor(Math.log10(this.low)); power <= Math.log10(this.high); power += 1)
          for (const size of this.high / this.low > 50 ? [1] : [1, 2, 5]) found.push(size * 10 ** power);
        return found.filter((tick) => tick >= this.low && tick <= this.high);
      }
      const raw = span / 5, power = 10 ** Math.floor(Math.log10(raw));
      const step = [1, 2, 5, 10].map((size) => size * power).find((size) => size >= raw * 0.999);
      const found = [];
      for (let n = Math.ceil(this.low / step - 1e-9); n * step <= this.high + step * 1e-9; n += 1) found.push(n * step);
      return found;
    }
  }

  const label = (value) => (Math.abs(value) >= 10000 ? `${show(value / 1000)}k` : show(value));

  class Plot {
    constructor(svg, number) {
      this.svg = svg;
      this.data = JSON.parse(svg.dataset.plot);
      this.whole = [this.data.x.low, this.data.x.high];
      this.hidden = new Set();
      this.part = 0.5;
      this.reading = false;
      this.clip = `clip-${number}`;
      this.controls();
      this.zoom(...this.whole);
      svg.addEventListener("pointermove", (event) => this.point(event));
      svg.addEventListener("pointerdown", (event) => this.grab(event));
      svg.addEventListener("pointerup", (event) => this.release(event));
      svg.addEventListener("pointerleave", () => { this.from = null; this.reading = false; this.draw(); });
    }

    controls() {
      const title = this.data.title;
      this.slider = build("input", { type: "range", min: 0, max: STEPS, value: STEPS / 2, label: `Read values: ${title}` });
      this.slider.addEventListener("input", () => { this.reading = true; this.part = this.slider.value / STEPS; this.draw(); });
      this.slider.addEventListener("keydown", (event) => {
        const act = { "+": () => this.closer(0.5), "-": () => this.closer(2), Escape: () => this.zoom(...this.whole) }[event.key];
        if (act) { event.preventDefault(); act(); }
      });
      this.told = build("output", { className: "told" });
      const button = (text, name, act) => {
        const element = build("button", { type: "button", textContent: text, label: `${name}: ${title}` });
        element.addEventListener("click", act);
        return element;
      };
      const arms = this.data.series.length < 2 ? [] : this.data.series.map(({ arm }) => {
        const element = button("", `Show ${arm}`, () => {
          if (!this.hidden.delete(arm)) this.hidden.add(arm);
          element.setAttribute("aria-pressed", !this.hidden.has(arm));
          this.draw();
        });
        element.append(build("span", { className: `key ${arm}` }), ` ${arm}`);
        element.setAttribute("aria-label", `${arm}: ${title}`);
        element.setAttribute("aria-pressed", true);
        return element;
      });
      const bar = build("div", { className: "tools" }, ...arms,
        button("+", "Zoom in", () => this.closer(0.5)), button("−", "Zoom out", () => this.closer(2)),
        button("Whole range", "Whole range", () => this.zoom(...this.whole)), this.slider);
      this.svg.after(bar, this.told);
      this.svg.parentElement.querySelector(".legend")?.classList.add("paper");
    }

    zoom(low, high) {
      this.across = new Axis({ ...this.data.x, low, high }, LEFT, RIGHT);
      this.up = new Axis(this.data.y, GROUND, TOP);
      this.draw();
    }

    closer(factor) {
      const { across } = this, centre = this.part;
      const half = factor / 2, whole = new Axis(this.data.x, LEFT, RIGHT);
      const low = Math.max(this.whole[0], across.at(Math.min(Math.max(centre - half, factor > 1 ? -1 : 0), 1)));
      const high = Math.min(this.whole[1], across.at(Math.max(Math.min(centre + half, factor > 1 ? 2 : 1), 0)));
      if (whole.part(high) - whole.part(low) > 0.004) this.zoom(low, high);
    }

    place(event) {
      const box = this.svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * 460;
      return Math.min(Math.max((x - LEFT) / (RIGHT - LEFT), 0), 1);
    }
    point(event) { this.reading = true; this.part = this.place(event); this.slider.value = this.part * STEPS; this.draw(); }
    grab(event) { if (event.pointerType === "mouse") { event.preventDefault(); this.from = this.place(event); } }
    release(event) {
      const [from, to] = [this.from, this.place(event)];
      this.from = null;
      if (from != null && Math.abs(to - from) > 0.03)
        this.zoom(this.across.at(Math.min(from, to)), this.across.at(Math.max(from, to)));
      else this.draw();
    }

    read(points, x) {
      if (this.data.kind === "steps") {
        const below = points.filter(([value]) => value <= x);
        return below.length ? below[below.length - 1][1] : 0;
      }
      const distance = ([value]) => Math.abs(this.across.part(value) - this.across.part(x));
      return points.reduce((best, one) => (distance(one) < distance(best) ? one : best), points[0])?.[1];
    }

    draw() {
      const { svg, data, across, up } = this;
      for (const child of [...svg.children]) if (!["title", "desc"].includes(child.tagName)) child.remove();
      const clip = make("clipPath", { id: this.clip });
      clip.append(make("rect", { x: LEFT, y: TOP - 4, width: RIGHT - LEFT, height: GROUND - TOP + 8 }));
      const inside = make("g", { "clip-path": `url(#${this.clip})` });
      svg.append(clip);
      for (const tick of up.ticks()) {
        const y = up.place(tick);
        svg.append(make("line", { class: "grid", x1: LEFT, x2: RIGHT, y1: y, y2: y }),
          make("text", { class: "tick end", x: LEFT - 5, y: y + 4 }, label(tick)));
      }
      for (const tick of data.x.bare ? [] : across.ticks()) {
        const x = across.place(tick);
        svg.append(make("line", { class: "grid", x1: x, x2: x, y1: GROUND, y2: TOP }),
          make("text", { class: "tick mid", x, y: GROUND + 16 }, label(tick)));
      }
      svg.append(make("text", { class: "axis mid", x: (LEFT + RIGHT) / 2, y: 262 }, data.x.title),
        make("text", { class: "axis mid", transform: `translate(12 ${(TOP + GROUND) / 2}) rotate(-90)` }, data.y.title), inside);
      for (const level of data.levels ?? []) {
        inside.append(make("line", { class: "level", x1: LEFT, x2: RIGHT, y1: up.place(level), y2: up.place(level) }),
          make("text", { class: "note", x: LEFT + 4, y: up.place(level) - 3 }, `P${level}`));
      }
      for (const start of data.starts ?? [])
        inside.append(make("line", { class: "level", x1: across.place(start), x2: across.place(start), y1: GROUND, y2: TOP }));
      for (const one of data.series) if (!this.hidden.has(one.arm)) inside.append(...this.trace(one));
      this.mark(inside);
    }

    trace({ arm, points }) {
      const at = ([x, y]) => [this.across.place(x), this.up.place(y)];
      if (this.data.kind === "dots")
        return points.map(at).map(([x, y]) => (arm === "base"
          ? make("circle", { class: "dot base", cx: x, cy: y, r: 3.6 })
          : make("rect", { class: `dot ${arm}`, x: x - 3.3, y: y - 3.3, width: 6.6, height: 6.6 })));
      const traced = [];
      if (this.data.filled && points.length) {
        const corners = points.map(at);
        const [first, last] = [corners[0], corners[corners.length - 1]];
        const around = [[first[0], GROUND], ...corners, [last[0], GROUND]];
        traced.push(make("polygon", { class: `area ${arm}`, points: around.map((corner) => corner.join()).join(" ") }));
      }
      let path = "", before = GROUND;
      points.map(at).forEach(([x, y], index) => {
        if (this.data.kind === "steps") { path += `${index ? "L" : "M"}${x} ${before}L${x} ${y}`; before = y; }
        else path += `${index ? "L" : "M"}${x} ${y}`;
      });
      return [...traced, make("path", { class: `line ${arm}`, d: path })];
    }

    mark(inside) {
      const { data, across } = this, x = across.at(this.part), px = across.place(x);
      if (this.reading) inside.append(make("line", { class: "cursor", x1: px, x2: px, y1: GROUND, y2: TOP }));
      if (this.from != null) {
        const from = across.place(across.at(this.from));
        inside.append(make("rect", { class: "chosen", x: Math.min(from, px), y: TOP, width: Math.abs(px - from), height: GROUND - TOP }));
      }
      const values = data.series.filter(({ arm, points }) => !this.hidden.has(arm) && points.length).map(({ arm, points }) => {
        const y = this.read(points, x);
        if (this.reading && data.kind !== "dots") inside.append(make("circle", { class: `dot ${arm}`, cx: px, cy: this.up.place(y), r: 4 }));
        return `${arm} ${show(y)}${data.y.unit}`;
      });
      const said = `${data.x.bare ? `round ${Math.round(x) + 1}` : `${show(x)}${data.x.unit}`}: ${values.join(", ")}`;
      this.told.textContent = this.reading ? said : "Move over the plot, or the slider, to read values.";
      this.slider.setAttribute("aria-valuetext", said);
    }
  }

  class Flame {
    constructor(svg) {
      this.svg = svg;
      this.frames = [...svg.querySelectorAll("g[data-place]")].map((group) => {
        const [left, width, depth] = group.dataset.place.split(" ").map(Number);
        return { group, left, width, depth, rect: group.querySelector("rect"), text: group.querySelector("text"), name: group.dataset.name };
      });
      const whole = Math.max(...this.frames.map(({ left, width }) => left + width));
      this.whole = { left: 0, width: 960, depth: -1 };
      this.used = whole;
      for (const frame of this.frames) {
        frame.group.setAttribute("tabindex", -1);
        frame.group.setAttribute("role", "img");
        frame.group.setAttribute("aria-label", frame.group.querySelector("title").textContent);
        frame.group.addEventListener("click", () => this.enter(frame));
        frame.group.addEventListener("focus", () => this.tell(frame));
      }
      this.frames[0]?.group.setAttribute("tabindex", 0);
      svg.addEventListener("keydown", (event) => this.key(event));
      this.controls();
    }

    controls() {
      const title = this.svg.querySelector("title").textContent;
      this.told = build("output", { className: "told" });
      const search = build("input", { type: "search", placeholder: "find a function", label: `Find a function: ${title}` });
      search.addEventListener("input", () => this.find(search.value.trim().toLowerCase()));
      const back = build("button", { type: "button", textContent: "Whole graph", label: `Whole graph: ${title}` });
      back.addEventListener("click", () => this.enter(this.whole));
      const fill = build("button", { type: "button", textContent: "Fill the width", label: `Fill the width: ${title}` });
      fill.addEventListener("click", () => this.enter({ ...this.whole, width: this.used }));
      const bar = build("div", { className: "tools" }, search, back, ...(this.used < 900 ? [fill] : []),
        build("span", { className: "small", textContent: "Click or Enter goes into a function, Escape goes back; arrow keys move." }));
      this.svg.parentElement.before(bar, this.told);
    }

    enter(chosen) {
      const scale = 960 / chosen.width;
      for (const { group, left, width, depth, rect, text, name } of this.frames) {
        const above = depth < chosen.depth && left <= chosen.left + 0.01 && left + width >= chosen.left + chosen.width - 0.01;
        const x = above ? 0 : (left - chosen.left) * scale, w = above ? 960 : width * scale;
        const seen = above || (x > -0.01 && x < 960 && (depth >= chosen.depth));
        group.style.display = seen ? "" : "none";
        rect.setAttribute("x", x);
        rect.setAttribute("width", w);
        let words = text;
        if (!words) { words = make("text", { y: depth * 19 + 13, "aria-hidden": true }); group.append(words); }
        const most = Math.floor((w - 6) / 6.4);
        words.setAttribute("x", x + 3);
        words.textContent = name.length <= most ? name : most > 2 ? `${name.slice(0, most - 1)}…` : "";
      }
      this.frames.forEach((frame) => { frame.text = frame.group.querySelector("text"); });
      if (chosen.group) this.tell(chosen); else this.told.textContent = "";
    }

    tell({ group }) { this.told.textContent = group.querySelector("title").textContent; }

    find(words) {
      const found = this.frames.filter(({ name, group }) => {
        const hit = words !== "" && name.toLowerCase().includes(words);
        group.classList.toggle("found", hit);
        return hit;
      });
      // A frame below another hit is part of it already.
      const outer = found.filter((one) => !found.some((other) => other.depth < one.depth
        && other.left <= one.left + 0.01 && other.left + other.width >= one.left + one.width - 0.01));
      const share = outer.reduce((sum, { width }) => sum + width, 0) / this.used;
      this.told.textContent = words ? `${found.length} frames, ${show(100 * share)} % of the samples` : "";
    }

    key(event) {
      const now = this.frames.find(({ group }) => group === document.activeElement);
      if (!now) return;
      const shown = this.frames.filter(({ group }) => group.style.display !== "none");
      const beside = shown.filter(({ depth }) => depth === now.depth).sort((a, b) => a.left - b.left);
      const covers = (outer, inner) => outer.left <= inner.left + 0.01 && outer.left + outer.width >= inner.left + inner.width - 0.01;
      const next = {
        ArrowRight: () => beside[beside.indexOf(now) + 1],
        ArrowLeft: () => beside[beside.indexOf(now) - 1],
        ArrowUp: () => shown.find((one) => one.depth === now.depth - 1 && covers(one, now)),
        ArrowDown: () => shown.filter((one) => one.depth === now.depth + 1 && covers(now, one)).sort((a, b) => b.width - a.width)[0],
      }[event.key];
      if (next) {
        event.preventDefault();
        const other = next();
        if (!other) return;
        now.group.setAttribute("tabindex", -1);
        other.group.setAttribute("tabindex", 0);
        other.group.focus();
      } else if (["Enter", " "].includes(event.key)) { event.preventDefault(); this.enter(now); }
      else if (event.key === "Escape") this.enter(this.whole);
    }
  }

  document.querySelectorAll("svg[data-plot]").forEach((svg, number) => new Plot(svg, number));
  document.querySelectorAll("svg.flame").forEach((svg) => new Flame(svg));
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("details:not([open])")];
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => { for (const one of opened) one.open = false; });
})();
