"""Help: the words that the bundled model knows, as buttons under the prompt, and the texts of the page."""

from __future__ import annotations

from apps.studio.html import escape
from glide_edit.toybox.world import COLOURS, GROUNDS, KINDS, LIGHTS

_LIGHT_WORDS = {"day": "in daylight", "sunset": "at sunset", "night": "at night"}

CAPABILITIES = """
The model that ships is small and was trained on a world of toys and some photographs of clothes. Asked
for **one toy** in **one colour** on **one ground** it mostly gets all three right. Put into a photograph
the toy has its colour and is often misshapen; of two toys at once each mostly has its own colour. It
cannot draw people, animals, text or anything else that is not among the words under the prompt.

For everything else there is OpenAI's released **GLIDE**: `glide-edit models fetch glide` (7 GB, once),
then choose it under *Models*. It is slow without a GPU.
"""

ON_CHIP_JS = """
element.addEventListener('click', (event) => {
  const word = event.target.closest('[data-word]');
  if (!word) return;
  const field = document.querySelector(`#${word.dataset.field} textarea, #${word.dataset.field} input`);
  field.value = (field.value.trimEnd() + ' ' + word.dataset.word).trimStart();
  field.dispatchEvent(new Event('input', {bubbles: true}));
  field.focus();
});
"""


def chips(tab: str) -> str:
    """A line of words to press, in the order in which they are said: "a red ball on grass at sunset"."""
    groups = (
        [f"a {colour}" if colour[0] not in "aeiou" else f"an {colour}" for colour in COLOURS],
        list(KINDS),
        [f"on {ground}" if ground != "checkered floor" else "on a checkered floor" for ground in GROUNDS],
        [_LIGHT_WORDS[light] for light in LIGHTS],
    )
    rows = "".join(
        f'<span class="ge-words-group">{"".join(_chip(word, tab) for word in group)}</span>'
        for group in groups
    )
    return f'<div class="ge-chips" role="group" aria-label="Words this model knows">{rows}</div>'


def _chip(word: str, tab: str) -> str:
    return (
        f'<button type="button" class="ge-chip" data-field="{tab}-prompt" data-word="{escape(word)}">'
        f"{escape(word)}</button>"
    )


STEPS = """
### An edit in five steps

1. **Open** a photograph: drop it, paste it, or take an example.
2. **Paint** over what should change. Grow or shrink the selection, invert it, clear it.
3. **Say** what should be there, and press **Run** (Ctrl+Enter).
4. **Watch**. Stop (Esc) whenever you like: what there is by then is kept.
5. **Compare** with the slider, edit it further, or download it. Not one pixel outside the selection has
   changed, and the receipt says how many were checked.

What you make is in *History* until you close the page. Nothing is kept on this machine afterwards.
"""

FROM_CODE = """
### The same from Python

```python
from gradio_client import Client, handle_file

studio = Client("http://127.0.0.1:7860")
file, info = studio.predict("a red ball on grass", 7, api_name="/generate")
file, info = studio.predict(
    handle_file("photo.jpg"), handle_file("mask.png"),  # white in the mask = change
    "a red ball", 7, api_name="/inpaint",
)
print(file, info["receipt"])
```

`/sketch` takes a drawing, a prompt and a seed. Runs wait in one queue, one at a time. The guide has the
same for curl and JavaScript: `docs/guide/studio.md`.
"""
