// Changes a part of the page into another one. Nodes that stay keep their focus, selection and place.

const OWN = { DETAILS: "open" }; // Attributes that belong to the user.

// Makes `old` the same as `fresh`, but for the elements with the ids of `kept`.
export function morph(old, fresh, kept = []) {
  const focused = document.activeElement;
  morphNode(old, fresh, kept);
  if (!focused.isConnected) document.getElementById("main").focus({ preventScroll: true });
}

function morphNode(old, fresh, kept) {
  if (kept.includes(old.id) || old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) return void (old.data = fresh.data);
  morphAttributes(old, fresh);
  morphChildren(old, fresh, kept);
}

function morphAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const name of old.getAttributeNames()) if (!fresh.hasAttribute(name) && OWN[old.nodeName] !== name) old.removeAttribute(name);
}

// Goes through both lists of children: a child becomes the next one of its kind, and others come or go.
function morphChildren(old, fresh, kept) {
  let here = old.firstChild;
  for (const child of [...fresh.childNodes]) {
    while (here && !isAlike(here, child) && !hasLater(fresh, child, here)) here = removed(here);
    if (!here || !isAlike(here, child)) old.insertBefore(child, here);
    else {
      const next = here.nextSibling;
      morphNode(here, child, kept);
      here = next;
    }
  }
  while (here) here = removed(here);
}

const isAlike = (one, other) => one.nodeName === other.nodeName && (one.id ?? "") === (other.id ?? "");

// Whether a child that follows is what an old node becomes.
function hasLater(fresh, child, node) {
  for (let later = child.nextSibling; later; later = later.nextSibling) if (isAlike(node, later)) return true;
  return false;
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}
