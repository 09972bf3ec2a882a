"""Twenty-nine reactions, mapped by hand: which atom of the reactants becomes which of the product.

Each was mapped from how the reaction goes, as textbooks of organic chemistry teach it, before a
model had seen it. Equal numbers, ``[CH3:1]``, mark an atom on both sides. What leaves has none.
"""

from __future__ import annotations

#: name, reaction with numbered atoms, and why it is mapped so
MAPPED: tuple[tuple[str, str, str], ...] = (
    (
        "Fischer esterification",
        "[O:5]=[C:4](O)[c:6]1[cH:7][cH:8][cH:9][cH:10][cH:11]1.[CH3:1][CH2:2][OH:3]>>"
        "[CH3:1][CH2:2][O:3][C:4](=[O:5])[c:6]1[cH:7][cH:8][cH:9][cH:10][cH:11]1",
        "The alcohol's oxygen attacks the acid's carbon, and the acid loses its OH as water.",
    ),
    (
        "Amide coupling",
        "[O:1]=[C:2](O)[c:11]1[cH:12][cH:13][n:14][cH:15][cH:16]1.[NH2:3][CH2:4][c:5]1[cH:6][cH:7]"
        "[cH:8][cH:9][cH:10]1>>"
        "[O:1]=[C:2]([NH:3][CH2:4][c:5]1[cH:6][cH:7][cH:8][cH:9][cH:10]1)[c:11]1[cH:12][cH:13]"
        "[n:14][cH:15][cH:16]1",
        "The amine's nitrogen attacks the acid's carbon, and the acid loses its OH.",
    ),
    (
        "Suzuki coupling",
        "[CH3:1][O:2][c:3]1[cH:4][cH:5][c:6](B(O)O)[cH:13][cH:14]1.Br[c:7]1[cH:8][cH:9][cH:10]"
        "[cH:11][n:12]1>>"
        "[CH3:1][O:2][c:3]1[cH:4][cH:5][c:6](-[c:7]2[cH:8][cH:9][cH:10][cH:11][n:12]2)[cH:13]"
        "[cH:14]1",
        "Palladium joins the carbon that carried boron and the carbon that carried bromine.",
    ),
    (
        "Diels–Alder reaction",
        "[CH2:7]=[CH:8][CH:9]=[CH2:10].[CH2:6]=[CH:5][C:3](=[O:4])[O:2][CH3:1]>>"
        "[CH3:1][O:2][C:3](=[O:4])[CH:5]1[CH2:6][CH2:7][CH:8]=[CH:9][CH2:10]1",
        "The two ends of the diene join the two carbons of the other double bond; the new double "
        "bond lies in the diene's middle.",
    ),
    (
        "Aromatic substitution (SNAr)",
        "[CH3:1][CH:2]([CH3:3])[SH:4].[F:11][c:10]1[cH:9][cH:8][cH:7][n:6][c:5]1F>>"
        "[CH3:1][CH:2]([CH3:3])[S:4][c:5]1[n:6][cH:7][cH:8][cH:9][c:10]1[F:11]",
        "Sulfur takes the place of the fluorine beside the ring's nitrogen, which holds the "
        "negative charge of the step between.",
    ),
    (
        "Williamson ether synthesis",
        "[CH3:1][c:2]1[cH:3][cH:4][c:5]([OH:6])[cH:14][cH:15]1.Br[CH2:7][c:8]1[cH:9][cH:10][cH:11]"
        "[cH:12][cH:13]1>>"
        "[CH3:1][c:2]1[cH:3][cH:4][c:5]([O:6][CH2:7][c:8]2[cH:9][cH:10][cH:11][cH:12][cH:13]2)"
        "[cH:14][cH:15]1",
        "The phenol's oxygen attacks the carbon that carries bromine, and bromide leaves.",
    ),
    (
        "Wittig reaction",
        "O=[CH:7][c:8]1[cH:9][cH:10][cH:11][cH:12][cH:13]1.[CH3:1][CH2:2][O:3][C:4](=[O:5])[CH:6]="
        "P(c1ccccc1)(c1ccccc1)c1ccccc1>>"
        "[CH3:1][CH2:2][O:3][C:4](=[O:5])[CH:6]=[CH:7][c:8]1[cH:9][cH:10][cH:11][cH:12][cH:13]1",
        "The carbon that was bound to phosphorus takes the place of the aldehyde's oxygen, which "
        "leaves with phosphorus.",
    ),
    (
        "Grignard addition",
        "[O:3]=[C:2]1[CH2:4][CH2:5][CH2:6][CH2:7][CH2:8]1.[CH3:1][Mg]Br>>"
        "[CH3:1][C:2]1([OH:3])[CH2:4][CH2:5][CH2:6][CH2:7][CH2:8]1",
        "The carbon that was bound to magnesium attacks the carbonyl carbon, whose oxygen stays.",
    ),
    (
        "Reductive amination",
        "O=[CH:6][c:5]1[cH:4][cH:3][c:2]([F:1])[cH:14][cH:13]1.[CH2:8]1[CH2:9][O:10][CH2:11]"
        "[CH2:12][NH:7]1.N#C[BH3-].[Na+]>>"
        "[F:1][c:2]1[cH:3][cH:4][c:5]([CH2:6][N:7]2[CH2:8][CH2:9][O:10][CH2:11][CH2:12]2)[cH:13]"
        "[cH:14]1",
        "The amine's nitrogen takes the place of the aldehyde's oxygen; the borohydride brings "
        "hydrogen only.",
    ),
    (
        "Boc protection",
        "[NH2:8][CH2:9][c:10]1[cH:11][cH:12][cH:13][cH:14][cH:15]1.[CH3:1][C:2]([CH3:3])([CH3:4])"
        "[O:5][C:6](=[O:7])OC(=O)OC(C)(C)C>>"
        "[CH3:1][C:2]([CH3:3])([CH3:4])[O:5][C:6](=[O:7])[NH:8][CH2:9][c:10]1[cH:11][cH:12][cH:13]"
        "[cH:14][cH:15]1",
        "The amine attacks one of the two equal carbonyl carbons, and the oxygen between them "
        "leaves with the other half.",
    ),
    (
        "Boc removal",
        "CC(C)(C)OC(=O)[N:5]1[CH2:4][CH2:3][CH:2]([OH:1])[CH2:7][CH2:6]1.O=C(O)C(F)(F)F>>"
        "[OH:1][CH:2]1[CH2:3][CH2:4][NH:5][CH2:6][CH2:7]1",
        "Acid takes the whole group off the nitrogen; nothing else changes.",
    ),
    (
        "Nitration",
        "[CH3:1][c:2]1[cH:3][cH:4][cH:5][cH:9][cH:10]1.[O:7]=[N+:6]([O-:8])O>>"
        "[CH3:1][c:2]1[cH:3][cH:4][c:5]([N+:6](=[O:7])[O-:8])[cH:9][cH:10]1",
        "Nitric acid loses its OH as water; the ring attacks the nitrogen with its carbon "
        "opposite the methyl group.",
    ),
    (
        "Friedel–Crafts acylation",
        "[CH3:8][C:7](=[O:9])Cl.[CH3:1][O:2][c:3]1[cH:4][cH:5][cH:6][cH:10][cH:11]1.Cl[Al](Cl)Cl>>"
        "[CH3:1][O:2][c:3]1[cH:4][cH:5][c:6]([C:7]([CH3:8])=[O:9])[cH:10][cH:11]1",
        "Aluminium takes the chloride; the ring attacks the acyl carbon with its carbon opposite "
        "the oxygen.",
    ),
    (
        "Aldol condensation",
        "[CH3:1][C:2]([CH3:4])=[O:3].O=[CH:5][c:6]1[cH:7][cH:8][cH:9][cH:10][cH:11]1>>"
        "[CH3:1][C:2](=[O:3])[CH:4]=[CH:5][c:6]1[cH:7][cH:8][cH:9][cH:10][cH:11]1",
        "A methyl carbon of acetone attacks the aldehyde's carbon, whose oxygen leaves as water.",
    ),
    (
        "Michael addition",
        "[CH3:1][CH2:2][O:3][C:4](=[O:5])[CH2:6][C:12](=[O:13])[O:14][CH2:15][CH3:16].[CH2:7]="
        "[CH:8][C:9]([CH3:10])=[O:11]>>"
        "[CH3:1][CH2:2][O:3][C:4](=[O:5])[CH:6]([CH2:7][CH2:8][C:9]([CH3:10])=[O:11])[C:12](="
        "[O:13])[O:14][CH2:15][CH3:16]",
        "The carbon between the two esters attacks the far end of the double bond.",
    ),
    (
        "Click reaction",
        "[N-:15]=[N+:16]=[N:6][CH2:5][c:4]1[cH:3][cH:2][cH:1][cH:18][cH:17]1.[CH:7]#[C:8][c:9]1"
        "[cH:10][cH:11][cH:12][cH:13][cH:14]1>>"
        "[cH:1]1[cH:2][cH:3][c:4]([CH2:5][n:6]2[cH:7][c:8](-[c:9]3[cH:10][cH:11][cH:12][cH:13]"
        "[cH:14]3)[n:15][n:16]2)[cH:17][cH:18]1",
        "With copper, the azide's last nitrogen joins the alkyne's carbon inside the molecule, "
        "and the first one its CH end.",
    ),
    (
        "Saponification",
        "CO[C:2](=[O:1])[c:4]1[cH:5][cH:6][c:7]([Cl:8])[cH:9][cH:10]1.[OH-:3].[Na+]>>"
        "[O:1]=[C:2]([OH:3])[c:4]1[cH:5][cH:6][c:7]([Cl:8])[cH:9][cH:10]1",
        "Hydroxide attacks the carbonyl carbon, and methoxide leaves with its own oxygen.",
    ),
    (
        "Oxidation of an alcohol",
        "[OH:1][CH2:2][c:3]1[cH:4][cH:5][c:6]([Br:7])[cH:8][cH:9]1.O=[Mn]=O>>"
        "[O:1]=[CH:2][c:3]1[cH:4][cH:5][c:6]([Br:7])[cH:8][cH:9]1",
        "Two hydrogens are taken away; the alcohol keeps its oxygen, and the oxide's stay with "
        "manganese.",
    ),
    (
        "Reduction of a ketone",
        "[CH3:1][C:2](=[O:3])[c:4]1[cH:5][cH:6][c:7]([Cl:8])[cH:9][cH:10]1.[BH4-].[Na+]>>"
        "[CH3:1][CH:2]([OH:3])[c:4]1[cH:5][cH:6][c:7]([Cl:8])[cH:9][cH:10]1",
        "The borohydride brings a hydrogen to the carbonyl carbon; the oxygen stays.",
    ),
    (
        "Buchwald–Hartwig amination",
        "[CH3:1][O:2][c:3]1[cH:4][cH:5][c:6](Br)[cH:13][cH:14]1.[CH2:8]1[CH2:9][O:10][CH2:11]"
        "[CH2:12][NH:7]1>>"
        "[CH3:1][O:2][c:3]1[cH:4][cH:5][c:6]([N:7]2[CH2:8][CH2:9][O:10][CH2:11][CH2:12]2)[cH:13]"
        "[cH:14]1",
        "Palladium joins the amine's nitrogen and the carbon that carried bromine.",
    ),
    (
        "Sonogashira coupling",
        "I[c:5]1[cH:6][cH:7][cH:8][cH:9][cH:10]1.[CH:4]#[C:3][CH2:2][OH:1]>>"
        "[OH:1][CH2:2][C:3]#[C:4][c:5]1[cH:6][cH:7][cH:8][cH:9][cH:10]1",
        "Palladium and copper join the alkyne's CH end and the carbon that carried iodine.",
    ),
    (
        "Heck reaction",
        "I[c:7]1[cH:8][cH:9][cH:10][cH:11][cH:12]1.[CH2:6]=[CH:5][C:3](=[O:4])[O:2][CH3:1]>>"
        "[CH3:1][O:2][C:3](=[O:4])[CH:5]=[CH:6][c:7]1[cH:8][cH:9][cH:10][cH:11][cH:12]1",
        "Palladium joins the CH₂ end of the double bond and the carbon that carried iodine.",
    ),
    (
        "Sulfonamide synthesis",
        "[CH3:1][c:2]1[cH:3][cH:4][c:5]([S:6](=[O:7])(=[O:8])Cl)[cH:16][cH:17]1.[NH2:9][c:10]1"
        "[cH:11][cH:12][cH:13][cH:14][cH:15]1>>"
        "[CH3:1][c:2]1[cH:3][cH:4][c:5]([S:6](=[O:7])(=[O:8])[NH:9][c:10]2[cH:11][cH:12][cH:13]"
        "[cH:14][cH:15]2)[cH:16][cH:17]1",
        "The amine's nitrogen attacks sulfur, and chloride leaves.",
    ),
    (
        "Reduction of a nitro group",
        "O=[N+:1]([O-])[c:2]1[cH:3][cH:4][c:5]([F:6])[cH:7][cH:8]1.[Fe]>>"
        "[NH2:1][c:2]1[cH:3][cH:4][c:5]([F:6])[cH:7][cH:8]1",
        "Nitrogen loses both oxygens and keeps its place on the ring.",
    ),
    (
        "Bromide from an alcohol",
        "O[CH2:2][CH2:3][c:4]1[cH:5][cH:6][cH:7][cH:8][cH:9]1.[Br:1]P(Br)Br>>"
        "[Br:1][CH2:2][CH2:3][c:4]1[cH:5][cH:6][cH:7][cH:8][cH:9]1",
        "Phosphorus binds the alcohol's oxygen, and one of its three equal bromines takes that "
        "place.",
    ),
    (
        "Acetylation (aspirin)",
        "[CH3:1][C:2](=[O:3])OC(C)=O.[O:12]=[C:11]([OH:13])[c:10]1[cH:9][cH:8][cH:7][cH:6][c:5]1"
        "[OH:4]>>"
        "[CH3:1][C:2](=[O:3])[O:4][c:5]1[cH:6][cH:7][cH:8][cH:9][c:10]1[C:11](=[O:12])[OH:13]",
        "The phenol's oxygen attacks one of the two equal carbonyl carbons; the oxygen between "
        "them leaves with the other half.",
    ),
    (
        "Epoxide opening",
        "[CH3:1][CH:2]1[CH2:4][O:3]1.[NH2:5][CH2:6][c:7]1[cH:8][cH:9][cH:10][cH:11][cH:12]1>>"
        "[CH3:1][CH:2]([OH:3])[CH2:4][NH:5][CH2:6][c:7]1[cH:8][cH:9][cH:10][cH:11][cH:12]1",
        "The amine attacks the ring's CH₂, the less crowded carbon; the oxygen stays on the other.",
    ),
    (
        "Claisen rearrangement",
        "[CH2:3]=[CH:2][CH2:1][O:10][c:9]1[cH:8][cH:7][cH:6][cH:5][cH:4]1>>"
        "[CH2:1]=[CH:2][CH2:3][c:4]1[cH:5][cH:6][cH:7][cH:8][c:9]1[OH:10]",
        "The far end of the double bond joins the ring beside the oxygen while the other end lets "
        "go: the three carbons turn round.",
    ),
    (
        "Baeyer–Villiger oxidation",
        "[O:1]=[C:2]1[CH2:3][CH2:4][CH2:5][CH2:6][CH2:7]1.O=C(O[OH:8])c1cccc(Cl)c1>>"
        "[O:1]=[C:2]1[CH2:3][CH2:4][CH2:5][CH2:6][CH2:7][O:8]1",
        "The peracid's outer oxygen attacks the carbonyl carbon and is then inserted beside it; "
        "the carbonyl's own oxygen stays.",
    ),
)
