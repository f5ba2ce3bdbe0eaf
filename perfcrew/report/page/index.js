"use strict";
// Loads the list again when it would look different.
(async () => {
  let before = null;
  for (;;) {
    try {
      const now = await (await fetch("/runs.json")).text();
      if (before !== null && now !== before) location.reload();
      before = now;
    } catch { /* the server is away; it may come back */ }
    await new Promise((done) => setTimeout(done, 3000));
  }
})();
