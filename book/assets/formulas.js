/* Typesets formulas when they come near the screen, and loads MathJax for the first of them.
 *
 * Until the reader does something, or the page has been there for a while, only what is on the
 * screen is typeset: the first screen does not wait for what lies below it. */
{
  const source = new URL("vendor/mathjax/tex-chtml.js", document.currentScript.src).href;
  const left = new Set(document.querySelectorAll(".math"));

  let mathJax; // a promise of it
  const loadMathJax = () => {
    mathJax ??= new Promise((resolve, reject) => {
      const onload = () => resolve(window.MathJax.startup.promise);
      const onerror = () => reject(new Error("MathJax is not there"));
      const script = document.createElement("script");
      document.head.append(Object.assign(script, { src: source, onload, onerror }));
    });
    return mathJax;
  };

  let work = Promise.resolve(); // one batch after the other, as MathJax asks for
  const typeset = (formulas) => {
    const batch = formulas.filter((formula) => left.delete(formula));
    if (batch.length)
      work = work.then(loadMathJax).then(() => window.MathJax.typesetPromise(batch));
    return work;
  };
  window.typesetFormulas = () => typeset([...left]); // all of them: a promise

  let observer;
  const watch = (rootMargin) => {
    observer?.disconnect();
    const near = (seen) => typeset(seen.filter((e) => e.isIntersecting).map((e) => e.target));
    observer = new IntersectionObserver(near, { rootMargin });
    for (const formula of left) observer.observe(formula);
  };

  const signs = ["pointermove", "pointerdown", "touchstart", "keydown", "scroll", "focusin"];
  const goOn = () => {
    for (const sign of signs) removeEventListener(sign, goOn);
    if (left.size) loadMathJax();
    watch("600px");
  };
  watch("0px");
  for (const sign of signs) addEventListener(sign, goOn, { passive: true });
  addEventListener("load", () => setTimeout(goOn, 3000));
  const print = () => {
    if (!window.MathJax?.typeset) return window.typesetFormulas();
    const rest = [...left];
    left.clear();
    window.MathJax.typeset(rest); // at once: the printer does not wait
  };
  addEventListener("beforeprint", print);
  matchMedia("print").addEventListener("change", print);
}
