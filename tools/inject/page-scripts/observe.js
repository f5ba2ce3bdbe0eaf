// Runs before anything of the page does, after the web-vitals library. Only notes what the browser says.
(() => {
  if (window.top !== window || window.__perfcrew) return;
  const seen = { vitals: {}, long_tasks: [], shifts: [], first_input: null };
  Object.defineProperty(window, "__perfcrew", { value: seen });
  performance.setResourceTimingBufferSize(2000);

  const name = (node) => {
    if (!node) return null;
    const element = node.nodeType === Node.ELEMENT_NODE ? node : node.parentElement;
    if (!element) return null;
    const words = [];
    for (let at = element; at && at.nodeType === Node.ELEMENT_NODE && words.length < 3; at = at.parentElement) {
      const classes = [...at.classList].slice(0, 2).map((word) => `.${word}`).join("");
      words.unshift(at.id ? `${at.localName}#${at.id}` : at.localName + classes);
      if (at.id) break;
    }
    return words.join(">").slice(0, 120);
  };
  const whole = (parts) =>
    Object.fromEntries(Object.entries(parts).filter(([, value]) => typeof value === "number").map(([key, value]) => [key, Math.round(value * 10) / 10]));

  const note = (metric) => {
    const from = metric.attribution;
    const script = from.longestScript?.entry;
    seen.vitals[metric.name] = {
      value: metric.value,
      element: from.target ?? from.interactionTarget ?? from.largestShiftTarget ?? null,
      url: from.url ?? null,
      script: script ? `${script.sourceURL || "inline"} ${script.sourceFunctionName || script.invoker || ""}`.trim() : null,
      parts: whole({
        time_to_first_byte: from.timeToFirstByte,
        load_delay: from.resourceLoadDelay,
        load: from.resourceLoadDuration,
        render_delay: from.elementRenderDelay,
        input_delay: from.inputDelay,
        processing: from.processingDuration,
        presentation: from.presentationDelay,
      }),
    };
  };
  const options = { reportAllChanges: true, generateTarget: name };
  const library = window.webVitals;
  for (const each of ["onLCP", "onCLS", "onFCP", "onTTFB"]) library[each](note, options);
  library.onINP(note, { ...options, durationThreshold: 16 });

  const watch = (type, take) =>
    new PerformanceObserver((list) => list.getEntries().forEach(take)).observe({ type, buffered: true });
  watch("longtask", (entry) => seen.long_tasks.push([entry.startTime, entry.duration]));
  watch("first-input", (entry) => {
    seen.first_input ??= { delay: entry.processingStart - entry.startTime, name: entry.name, element: name(entry.target) };
  });
  watch("layout-shift", (entry) => {
    if (entry.hadRecentInput) return;
    seen.shifts.push({
      value: entry.value,
      at: entry.startTime,
      elements: (entry.sources || []).map((source) => name(source.node)).filter(Boolean).slice(0, 4),
    });
  });

  seen.read = () => {
    const [navigation] = performance.getEntriesByType("navigation");
    return {
      ...seen,
      now: performance.now(),
      origin: performance.timeOrigin,
      loaded: navigation?.loadEventEnd ?? null,
      resources: performance.getEntriesByType("resource").map((entry) => ({
        url: entry.name,
        initiator: entry.initiatorType,
        start: entry.startTime,
        end: entry.responseEnd,
        blocking: entry.renderBlockingStatus === "blocking",
      })),
    };
  };

  seen.images = () =>
    [...document.images].map((image) => {
      const style = image.computedStyleMap();
      const fixed = (side) => !["auto", ""].includes(String(style.get(side)));
      const box = image.getBoundingClientRect();
      const reserved = (fixed("width") && fixed("height")) || String(style.get("aspect-ratio")) !== "auto";
      return {
        element: name(image),
        url: image.currentSrc || image.src,
        reserved: reserved || ["absolute", "fixed"].includes(String(style.get("position"))),
        lazy: image.loading === "lazy",
        natural: [image.naturalWidth, image.naturalHeight],
        shown: [Math.round(box.width), Math.round(box.height)],
        top: Math.round(box.top + window.scrollY),
      };
    });
})();
