const data = JSON.parse(document.getElementById("data").textContent);
const get = (id) => document.getElementById(id);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];

// The only way a text enters the page: as text.
function make(tag, facts = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(facts)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const watchers = [];
const onTheme = (action) => watchers.push(action);

function themes() {
  const button = get("theme"), root = document.documentElement, names = ["", "light", "dark"];
  const words = { "": "as the system", light: "light", dark: "dark" };
  const remember = (name) => { try { localStorage.setItem("vireo-theme", name); } catch { /* a file may keep nothing */ } };
  const remembered = () => { try { return localStorage.getItem("vireo-theme") ?? ""; } catch { return ""; } };
  const set = (name) => {
    if (name) root.dataset.theme = name; else delete root.dataset.theme;
    button.textContent = `Theme: ${words[name]}`;
    watchers.forEach((action) => action());
  };
  button.hidden = false;
  button.addEventListener("click", () => {
    const next = names[(names.indexOf(root.dataset.theme ?? "") + 1) % names.length];
    remember(next);
    set(next);
  });
  // Paper is white, whatever the screen is.
  let screen = "";
  addEventListener("beforeprint", () => {
    screen = root.dataset.theme ?? "";
    set("light");
  });
  addEventListener("afterprint", () => set(screen));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => watchers.forEach((action) => action()));
  if (names.includes(remembered())) set(remembered());
}

// A hint follows the pointer or the keyboard; what it says is in `data-tip`, or made by `words`.
function hints(words) {
  const tip = get("tip");
  const show = (target, x, y) => {
    const text = target && (target.dataset.tip ?? words(target));
    tip.hidden = !text;
    if (!text) return;
    tip.textContent = text;
    const box = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - box.width - 6))}px`;
    tip.style.top = `${y + 18 + box.height > innerHeight ? y - box.height - 10 : y + 18}px`;
  };
  const marked = (event) => event.target.closest?.("[data-tip], td.score, td[data-all]");
  document.addEventListener("pointermove", (event) => show(marked(event), event.clientX, event.clientY));
  document.addEventListener("pointerdown", (event) => show(marked(event), event.clientX, event.clientY));
  document.addEventListener("focusin", (event) => {
    const target = marked(event);
    if (!target) return void (tip.hidden = true);
    const box = target.getBoundingClientRect();
    show(target, box.left, box.bottom - 14);
    event.target.setAttribute("aria-describedby", "tip");
  });
  for (const gone of ["scroll", "pointerleave", "keydown"]) {
    document.addEventListener(gone, (event) => { if (gone !== "keydown" || event.key === "Escape") tip.hidden = true; }, true);
  }
}

function contents() {
  const links = new Map(all("nav a").map((link) => [link.hash.slice(1), link]));
  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      all("nav a.here").forEach((link) => { link.classList.remove("here"); link.removeAttribute("aria-current"); });
      const link = links.get(target.id);
      if (!link) continue;
      link.classList.add("here");
      link.setAttribute("aria-current", "true");
      link.parentNode.scrollLeft = link.offsetLeft - 16;
    }
  }, { rootMargin: "-10% 0px -75% 0px" });
  all("main section[id]").forEach((section) => seen.observe(section));
}
