// Light, dark, or as the system says: kept in a cookie, applied before the first paint.
(() => {
  const order = ["auto", "light", "dark"];
  const kept = () => (document.cookie.match(/(?:^|; )dnaml_theme=(\w+)/) || [])[1] || "auto";
  const apply = () => {
    document.documentElement.dataset.theme = kept();
    const button = document.querySelector("button.theme");
    if (button) button.textContent = {auto: "Theme: system", light: "Theme: light", dark: "Theme: dark"}[kept()];
  };
  apply();
  document.addEventListener("click", (event) => {
    if (!event.target.closest || !event.target.closest("button.theme")) return;
    const next = order[(order.indexOf(kept()) + 1) % order.length];
    document.cookie = `dnaml_theme=${next}; path=/ui; max-age=31536000; samesite=lax`;
    apply();
  });
  new MutationObserver((_, observer) => {
    if (document.querySelector("button.theme")) { apply(); observer.disconnect(); }
  }).observe(document, {childList: true, subtree: true});
})();
