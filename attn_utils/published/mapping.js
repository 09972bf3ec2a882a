// Where a head says that the product's atoms come from, and whether that can be right.

// For each atom of the product, the atom of the reactants that gets most of its attention. `map`
// holds a row of `tokens` weights for each token.
export const originsOf = (map, tokens, { reactants, product }) =>
  product.atoms.map(({ token }) => {
    const weights = reactants.atoms.map((atom) => map[token * tokens + atom.token]);
    const weight = Math.max(...weights);
    return { atom: weights.indexOf(weight), weight, weights };
  });

// How many of the mapped atoms are right. `truth` lists for each atom of the product the atoms of
// the reactants that it may come from, several where molecules are symmetric, or none if unknown.
export const scoreOf = (origins, truth) => {
  const known = origins
    .map((origin, k) => ({ origin, from: truth[k] }))
    .filter((o) => o.from.length);
  const right = known.filter(({ origin, from }) => from.includes(origin.atom)).length;
  return { right, known: known.length };
};

// What cannot be right, whatever the reaction: atoms that come from another element, and atoms
// whose origin is that of an earlier atom too.
export const contradictionsIn = (origins, { reactants, product }) => {
  const taken = new Set();
  const strange = [];
  const doubled = [];
  origins.forEach(({ atom }, k) => {
    if (reactants.atoms[atom].element !== product.atoms[k].element) strange.push(k);
    else if (taken.has(atom)) doubled.push(k);
    taken.add(atom);
  });
  return { strange, doubled };
};

// Whether the reactants have every atom that the product needs.
export const isBalanced = ({ reactants, product }) => {
  const left = new Map();
  for (const { element } of reactants.atoms) left.set(element, (left.get(element) ?? 0) + 1);
  return product.atoms.every(({ element }) => {
    left.set(element, (left.get(element) ?? 0) - 1);
    return left.get(element) >= 0;
  });
};
