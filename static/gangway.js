// Makes pages livelier; nothing needs it. Times in the reader's zone, copy buttons, one click per form,
// and pages that follow what happens.
"use strict";

const localTimes = (root) => {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    if (Number.isNaN(at.getTime())) continue;
    const short = { hour: "2-digit", minute: "2-digit" };
    const long = { day: "numeric", month: "long", year: "numeric", ...short };
    time.title = time.textContent;
    time.textContent = at.toLocaleString("en-GB", "short" in time.dataset ? short : long);
  }
};

const copyButtons = (root) => {
  if (!navigator.clipboard) return;
  for (const button of root.querySelectorAll("button[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    });
  }
};

const onceForms = (root) => {
  for (const form of root.querySelectorAll("form[data-once]")) {
    form.addEventListener("submit", () => {
      form.querySelector("button").disabled = true;
      form.querySelector("[role=status]").textContent = form.dataset.once;
    });
  }
};

const enliven = (root) => [localTimes, copyButtons, onceForms].forEach((step) => step(root));

const follow = () => {
  const feed = document.querySelector("main[data-feed]")?.dataset.feed;
  if (!feed) return;
  const source = new EventSource(feed);
  source.addEventListener("changed", async () => {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (!answer.ok) return;
    source.close();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const [before, after] = [document, page].map((one) => one.querySelector("h1")?.textContent);
    document.title = page.title;
    document.querySelector("main").replaceWith(page.querySelector("main"));
    enliven(document.querySelector("main"));
    if (before !== after) document.querySelector("h1")?.focus();
    follow();
  });
};

// Coming back with the back button must find a button that works.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
enliven(document);
follow();
