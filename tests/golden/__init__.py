"""Outputs of the three systems' own code, and ours beside them.

A golden is NAME.json, its manifest, and NAME.npz, what the authors' code gave for weights and inputs that
`recipe` makes again from the manifest. `python -m tests.golden DIR` checks a folder of them. A family is one
file beside this one, with a function

    outputs(manifest, expected) -> dict[str, ndarray]

that computes every array of `expected` by what Cinedex itself runs; those that are inputs it may leave out.
`manifest["folder"]` is where the golden lies, for one that needs another one's weights. Optional beside it:

    expected(manifest, stored) -> dict[str, ndarray]    where the manifest itself says what is expected
    left_out(manifest) -> dict[str, str]                beginnings of names that are not compared, and why
"""
