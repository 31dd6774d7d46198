// Keys and the clipboard. Ctrl+Enter runs the open tab, Esc stops it (never while a field is being typed in),
// and a picture that is pasted anywhere outside a field is opened in the Edit tab.
(() => {
  const seen = (selector) => [...document.querySelectorAll(selector)].find((each) => each.offsetParent !== null);
  const typing = (target) => target.closest('input:not([type=range]):not([type=checkbox]), textarea, select, [contenteditable=true]');

  document.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) {
      const run = seen('.ge-run');
      if (run) {
        event.preventDefault();
        // A text field tells its value on blur at the latest.
        document.activeElement?.dispatchEvent(new Event('input', {bubbles: true}));
        setTimeout(() => run.click(), 50);
      }
    } else if (event.key === 'Escape' && !typing(event.target)) {
      seen('.ge-stop')?.click();
    }
  });

  // A word that is pressed is added to its tab's prompt.
  document.addEventListener('click', (event) => {
    const word = event.target.closest?.('[data-word]');
    if (!word) return;
    const field = document.querySelector(`#${word.dataset.field} textarea, #${word.dataset.field} input`);
    field.value = (field.value.trimEnd() + ' ' + word.dataset.word).trimStart();
    field.dispatchEvent(new Event('input', {bubbles: true}));
    field.focus();
  });

  // After a stroke, or a press on one of the canvas' own tools, the canvas is sent, which takes a second. Later
  // requests only name the number of strokes they follow. A stroke may end outside the canvas.
  for (const name of ['edit', 'sketch']) {
    let soon, painting = false, strokes = 0;
    const changed = () => {
      const count = document.querySelector(`#${name}-strokes input`);
      if (!count) return;
      count.value = ++strokes;
      count.dispatchEvent(new Event('input', {bubbles: true}));
      clearTimeout(soon);
      soon = setTimeout(() => document.querySelector(`#${name}-look`)?.click(), 250);
    };
    const onCanvas = (event) => Boolean(event.target.closest?.(`#${name}-canvas`));
    document.addEventListener('pointerdown', (event) => { painting = onCanvas(event); }, true);
    for (const end of ['pointerup', 'pointercancel']) {
      document.addEventListener(end, () => {
        if (painting) changed();
        painting = false;
      }, true);
    }
    document.addEventListener('keyup', (event) => onCanvas(event) && changed(), true);
  }

  // Two pictures under a slider, enlarged pixel for pixel around the mouse or the finger.
  document.addEventListener('click', (event) => {
    const button = event.target.closest?.('.ge-closer');
    if (!button) return;
    const pair = button.parentElement.querySelector('.ge-compare');
    const picture = pair.querySelector('img');
    pair.style.setProperty('--zoom', Math.max(2, picture.naturalWidth / pair.clientWidth));
    button.setAttribute('aria-pressed', pair.classList.toggle('ge-close'));
  });
  const lookAt = (event) => {
    const pair = event.target.closest?.('.ge-close');
    if (!pair || (event.type === 'pointermove' && event.buttons)) return;
    const box = pair.getBoundingClientRect();
    pair.style.setProperty('--x', `${100 * (event.clientX - box.left) / box.width}%`);
    pair.style.setProperty('--y', `${100 * (event.clientY - box.top) / box.height}%`);
  };
  document.addEventListener('pointermove', lookAt);
  document.addEventListener('pointerdown', (event) => event.pointerType === 'touch' && lookAt(event));

  // A file that the server would refuse is not sent; a message says what to do.
  const guard = (event) => {
    const files = [...(event.target.files ?? event.dataTransfer?.files ?? [])];
    if (!files.some((file) => file.size > GLIDE_EDIT_MOST_BYTES)) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const says = document.createElement('div');
    says.className = 'ge-status ge-error';
    says.setAttribute('role', 'alert');
    says.textContent = `The picture has more than ${GLIDE_EDIT_MOST_BYTES / 2 ** 20} MB: save a smaller one.`;
    seen('.ge-words')?.querySelector('.html-container > *')?.replaceChildren(says);
  };
  document.addEventListener('change', guard, true);
  document.addEventListener('drop', guard, true);

  document.addEventListener('paste', (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith('image/'));
    const input = document.querySelector('#edit-drop input[type=file]');
    if (!files.length || !input || typing(event.target)) return;
    event.preventDefault();
    const data = new DataTransfer();
    data.items.add(files[0]);
    input.files = data.files;
    input.dispatchEvent(new Event('change', {bubbles: true}));
  });
})();
