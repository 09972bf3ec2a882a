/* Runs anywidget modules in the rendered book: no kernel, no server, no dependency.
 *
 * MyST-NB writes one script with the state of all widgets of a page and one view script per output.
 * live_widgets/__init__.py has put each module and style sheet into the page once, as a text script
 * whose id is a hash; a model's _esm and _css name it ("live:<hash>"). */
(() => {
  const page = document.documentElement;
  const STATE = 'script[type="application/vnd.jupyter.widget-state+json"]';
  const VIEW = 'script[type="application/vnd.jupyter.widget-view+json"]';
  const textOf = (reference) => document.getElementById(reference.replace(":", "-")).textContent;

  const modules = new Map(); // reference -> promise of the module's definition
  const load = (reference) => {
    if (!modules.has(reference)) {
      const url = URL.createObjectURL(new Blob([textOf(reference)], { type: "text/javascript" }));
      modules.set(
        reference,
        import(url).then((module) => {
          URL.revokeObjectURL(url);
          return module.default;
        }),
      );
    }
    return modules.get(reference);
  };

  const viewOf = (base64) => {
    const text = atob(base64);
    return new DataView(Uint8Array.from(text, (c) => c.charCodeAt(0)).buffer);
  };

  // The part of anywidget's model that works without a kernel.
  class Model {
    constructor(record) {
      this.state = { ...record.state };
      this.listeners = new Map();
      for (const {
        path: [name],
        data,
      } of record.buffers ?? [])
        this.state[name] = viewOf(data);
    }
    get(name) {
      return this.state[name];
    }
    set(name, value) {
      if (this.state[name] === value) return;
      this.state[name] = value;
      for (const listener of this.listeners.get(`change:${name}`) ?? []) listener();
    }
    on(event, listener) {
      if (!this.listeners.has(event)) this.listeners.set(event, new Set());
      this.listeners.get(event).add(listener);
    }
    off(event, listener) {
      this.listeners.get(event)?.delete(listener);
    }
    save_changes() {} // nobody to tell
  }

  const show = async (model, script) => {
    const css = model.get("_css");
    if (!document.getElementById(`style-${css}`)) {
      document.head.append(
        Object.assign(document.createElement("style"), {
          id: `style-${css}`,
          textContent: textOf(css),
        }),
      );
    }
    const el = document.createElement("div");
    script.before(el);
    try {
      const { render } = await load(model.get("_esm"));
      await render({ model, el, signal: new AbortController().signal });
    } catch (error) {
      // the still picture that readers without JavaScript see is better than a hole in the page
      el.innerHTML = script.parentElement.querySelector("noscript")?.textContent ?? "";
      console.error(error);
    }
  };

  const start = async () => {
    page.dataset.liveHost = "starting";
    const records = [...document.querySelectorAll(STATE)].flatMap((s) =>
      Object.entries(JSON.parse(s.textContent).state),
    );
    const models = new Map(records.map(([id, record]) => [id, new Model(record)]));
    const views = [...document.querySelectorAll(VIEW)].map((script) => [
      models.get(JSON.parse(script.textContent).model_id),
      script,
    ]);
    await Promise.all(
      views.filter(([model]) => model).map(([model, script]) => show(model, script)),
    );
    page.dataset.liveHost = "ready";
  };
  // "interactive" comes before deferred scripts (MathJax) run, DOMContentLoaded only after them
  if (document.readyState === "loading")
    document.addEventListener("readystatechange", start, { once: true });
  else start();
})();
