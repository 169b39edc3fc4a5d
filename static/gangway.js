// Nothing needs this script.
const one = (what, where = document) => where.querySelector(what);
const all = (what) => document.querySelectorAll(what);
const say = (words) => { one('#said').textContent = words; };
const main = one('main');

// Times in the visitor's zone; copy buttons.
const language = /^en\b/.test(navigator.language) ? navigator.language : 'en-GB';
const hour = { hour: 'numeric', minute: '2-digit' };
const full = { day: 'numeric', month: 'short', year: 'numeric', ...hour, timeZoneName: 'short' };
const enhance = () => {
  for (const time of all('time:not([data-utc])')) {
    time.title = time.dataset.utc = time.title || time.textContent;
    time.textContent = new Date(time.dateTime).toLocaleString(language, 'short' in time.dataset ? hour : full);
  }
  for (const button of all('[data-copy]')) button.hidden = !navigator.clipboard;
};
addEventListener('click', async ({ target }) => {
  const button = target.closest('[data-copy]');
  if (!button) return;
  await navigator.clipboard.writeText(one('#' + button.dataset.copy).textContent);
  button.classList.add('copied');
  say('Copied');
  setTimeout(() => button.classList.remove('copied'), 2000);
});

// A form under way is not sent twice.
const mark = (form, sent) => {
  form.sent = sent;
  one('button', form).ariaDisabled = sent;
  one('[role=status]', form).textContent = sent ? form.dataset.once : '';
};
addEventListener('submit', (event) => {
  const form = event.target;
  if (!form.dataset.once) return;
  if (form.sent) return event.preventDefault();
  mark(form, true);
  setTimeout(mark, 15000, form, false);
});
addEventListener('pageshow', () => all('[data-once]').forEach((form) => mark(form, false)));

// The rest of the navigation closes when something else is wanted.
const leave = (event) => {
  const rest = one('.rest[open]');
  if (!rest || (event.key ? event.key !== 'Escape' : rest.contains(event.target))) return;
  rest.open = false;
  if (event.key) one('summary', rest).focus();
};
addEventListener('click', leave);
addEventListener('keydown', leave);

// Show what changed in <main>: when its feed says so, and every so often.
const parts = (where) => [...where.children].map((part) => part.outerHTML);
const told = () => one('main [role=status]')?.textContent;
let shown = parts(main), source, timer;
const show = (page) => {
  const next = one('main', page), before = told(), fresh = next ? parts(next) : shown;
  if (fresh.join() === shown.join()) return;
  const moved = page.title !== document.title, held = main.matches(':focus-within');
  if (moved || fresh.length !== shown.length) main.replaceChildren(...next.children);
  else fresh.forEach((part, i) => { if (part !== shown[i]) main.children[i].outerHTML = part; });
  shown = fresh;
  document.title = page.title;
  enhance();
  if (moved || (held && !main.matches(':focus-within'))) one('h1').focus();
  if (told() !== before) say(told());
  if (next.dataset.again) return;
  source?.close();
  clearInterval(timer);
};
const refresh = async () => {
  const answer = await fetch(location).catch(() => 0);
  if (!answer || [429, 500, 503].includes(answer.status)) return;
  show(new DOMParser().parseFromString(await answer.text(), 'text/html'));
};
enhance();
if (main.dataset.again) {
  if (main.dataset.feed) {
    source = new EventSource(main.dataset.feed);
    source.addEventListener('changed', refresh);
  }
  timer = setInterval(() => document.hidden || refresh(), 1000 * main.dataset.again);
}

// The live view: rows come in at the top; a pause closes the stream, and it goes on where it stopped.
const live = one('[data-live]');
if (live) {
  const body = one('tbody', live), button = one('#pause');
  let stream, last = live.dataset.live;
  const tell = (words) => { one('#stream').textContent = words; };
  const follow = () => {
    stream = new EventSource('/admin/events/live/feed?after=' + last);
    stream.onopen = () => tell('Live');
    stream.onerror = () => tell(stream.readyState === 2 ? 'Ended. Load this page again.' : 'Connecting…');
    stream.addEventListener('rows', ({ data, lastEventId }) => {
      last = lastEventId;
      body.insertAdjacentHTML('afterbegin', data);
      while (body.rows.length > 200) body.lastElementChild.remove();
      enhance();
    });
  };
  button.hidden = false;
  button.onclick = () => {
    const paused = button.textContent === 'Pause';
    button.textContent = paused ? 'Go on' : 'Pause';
    if (paused) stream.close(); else follow();
    tell(paused ? 'Paused' : 'Connecting…');
    say(paused ? 'Paused' : 'Going on');
  };
  follow();
}

// A list with a search: / leads to the search, arrows along the rows; Enter follows the link it is on.
const search = one('[role=search] #q');
if (search) addEventListener('keydown', (event) => {
  const { key, target, ctrlKey, metaKey, altKey } = event;
  const typing = target.matches('input, textarea, select'), way = { ArrowDown: 1, ArrowUp: -1 }[key];
  if (ctrlKey || metaKey || altKey || (typing && (!way || target !== search))) return;
  if (key === '/') search.focus();
  else if (way) {
    const rows = [...all('[data-rows] tbody th a')], at = rows.indexOf(document.activeElement) + way;
    (at < 0 ? search : rows[Math.min(at, rows.length - 1)])?.focus();
  } else return;
  event.preventDefault();
});
