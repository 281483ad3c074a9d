// Changes a part of the page into another one. Nodes that stay keep their focus, selection and place.

const OWN = { DETAILS: "open" }; // Attributes that belong to the user.

// Makes `old` the same as `fresh`, but for the nodes that `isKept` names. `fresh` stays as it is.
export function morph(old, fresh, isKept = () => false) {
  const focused = document.activeElement;
  morphNode(old, fresh, isKept);
  if (!focused.isConnected) toContent();
}

export const toContent = () => document.getElementById("main").focus({ preventScroll: true });

function morphNode(old, fresh, isKept) {
  if (isKept(old) || old.isEqualNode(fresh)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) return void (old.data = fresh.data);
  morphAttributes(old, fresh);
  morphChildren(old, fresh, isKept);
}

function morphAttributes(old, fresh) {
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (old.attributes.length === fresh.attributes.length) return;
  for (const name of old.getAttributeNames()) if (!fresh.hasAttribute(name) && OWN[old.nodeName] !== name) old.removeAttribute(name);
}

// Goes through both lists of children: a child becomes the next one of its kind, and others come or go.
function morphChildren(old, fresh, isKept) {
  let here = old.firstChild;
  for (let child = fresh.firstChild; child; child = child.nextSibling) {
    while (here && !isAlike(here, child) && !hasLater(child, here)) here = removed(here);
    if (!here || !isAlike(here, child)) old.insertBefore(document.importNode(child, true), here);
    else {
      morphNode(here, child, isKept);
      here = here.nextSibling;
    }
  }
  while (here) here = removed(here);
}

const isAlike = (one, other) => one.nodeName === other.nodeName && one.id === other.id;

// Whether a sibling that follows is what an old node becomes.
function hasLater(child, node) {
  for (let later = child.nextSibling; later; later = later.nextSibling) if (isAlike(node, later)) return true;
  return false;
}

function removed(node) {
  const next = node.nextSibling;
  node.remove();
  return next;
}
