/* Remembers in the reader's own browser which choices of the quiz were taken, for the next visit.
 *
 * Nothing is sent. Where the browser keeps nothing (or is told not to) all works until the page is
 * left. A record is { total, first: { question: number of the choice that was opened first } }; its
 * key ends in the name of the page. */
{
  const PREFIX = "attention-you-can-touch/quiz/";
  const pageOf = (address) => new URL(address, location.href).pathname.split("/").pop();

  let keeps = true; // whether the browser keeps what it is given
  const attempt = (action) => {
    try {
      return action();
    } catch {
      keeps = false;
      return null;
    }
  };

  const read = (page) => {
    const text = attempt(() => localStorage.getItem(PREFIX + page));
    try {
      const { total, first } = JSON.parse(text);
      return { total: Number(total), first: Object(first) };
    } catch {
      return { total: 0, first: {} }; // nothing there, or not ours
    }
  };
  const write = (page, record) =>
    attempt(() => localStorage.setItem(PREFIX + page, JSON.stringify(record)));
  const forget = (page) => attempt(() => localStorage.removeItem(PREFIX + page));

  // The choices of each question, in their order, by the question's name.
  const questionsOf = (choices) => {
    const questions = new Map();
    for (const choice of choices) {
      const name = choice.getAttribute("name");
      questions.set(name, [...(questions.get(name) ?? []), choice]);
    }
    return questions;
  };

  const element = (tag, className, textContent = "") =>
    Object.assign(document.createElement(tag), { className, textContent });

  const mark = (choice) => {
    const sign = choice.classList.contains("right") ? "✓" : "✗";
    choice
      .querySelector("summary")
      .append(element("span", "quiz-mark", ` ${sign} your first choice`));
  };

  const summary = (questions, first) => {
    const taken = [...questions].filter(([name, choices]) => choices[first[name]]);
    if (!taken.length) return "Nothing chosen yet.";
    const right = taken.filter(([name, choices]) => choices[first[name]].matches(".right"));
    const where = keeps
      ? "This browser remembers it, and nobody else knows."
      : "This browser remembers nothing: it is gone when you leave the page.";
    const answered = `Answered ${taken.length} of ${questions.size}`;
    return `${answered}, ${right.length} right at the first try. ${where}`;
  };

  const startQuiz = (page, choices) => {
    const questions = questionsOf(choices);
    let record = { ...read(page), total: questions.size };
    const line = element("p", "quiz-progress");
    const status = element("span", "");
    status.setAttribute("role", "status");
    const reset = element("button", "quiz-reset", "Start again");
    reset.type = "button";
    line.append(status, " ", reset);
    choices[0].closest("section").querySelector("h2, h3").after(line);

    const show = () => {
      for (const old of document.querySelectorAll(".quiz-mark")) old.remove();
      for (const [name, own] of questions)
        if (own[record.first[name]]) mark(own[record.first[name]]);
      status.textContent = summary(questions, record.first);
      reset.hidden = !Object.keys(record.first).length;
      showProgress();
    };
    for (const [name, own] of questions)
      for (const [index, choice] of own.entries())
        choice.querySelector("summary").addEventListener("click", () => {
          if (choice.open || own[record.first[name]]) return;
          record.first[name] = index;
          write(page, record);
          show();
        });
    reset.addEventListener("click", () => {
      record = { total: questions.size, first: {} };
      forget(page);
      for (const choice of choices) choice.open = false;
      show();
      choices[0].querySelector("summary").focus(); // the button is gone
    });
    show();
  };

  // How far the quizzes are, beside the chapters in the table of contents.
  const showProgress = () => {
    for (const link of document.querySelectorAll(".bd-sidebar-primary .bd-links a")) {
      link.querySelector(".quiz-count")?.remove();
      const { total, first } = read(pageOf(link.href));
      const taken = Object.keys(first).length;
      if (!taken) continue;
      const count = element("span", "quiz-count", ` ${taken}/${total}`);
      count.title = `${taken} of ${total} questions of the quiz answered`;
      link.append(count);
    }
  };

  const start = () => {
    const choices = [...document.querySelectorAll("details.quiz[name]")];
    if (choices.length) startQuiz(pageOf(location.href), choices);
    else showProgress();
  };
  if (document.readyState === "loading")
    document.addEventListener("DOMContentLoaded", start, { once: true });
  else start();
}
