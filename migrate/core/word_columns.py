"""Columns of words, put together a whole column at a time: no Python object is made for each value, as NumPy's `select` would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd


def first_that_holds(cases: Sequence[tuple[pd.Series, str]], default: str) -> pd.Series:
    """For each row the word of the first case that holds there, `default` where none does. The conditions are aligned."""
    import numpy as np

    index = cases[0][0].index
    codes = np.full(len(index), len(cases))
    for code, (holds, _) in reversed(list(enumerate(cases))):
        codes[holds.to_numpy(bool)] = code
    return _words([*(word for _, word in cases), default], codes, index)


def recoded(words: pd.Series, new: Mapping[str, str], default: str) -> pd.Series:
    """Each word replaced by its `new` one, `default` where there is none, or where the word is missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    olds = list(new)
    place = pc.index_in(pa.array(words, pa.large_string(), from_pandas=True), pa.array(olds, pa.large_string()))
    return _words([*(new[old] for old in olds), default], pc.fill_null(place, len(olds)).to_numpy(), words.index)


def found_by_id(ids: pd.Series, by_id: pd.Series) -> pd.Series:
    """For each account id its text in `by_id` (id → text), missing where there is none."""
    import numpy as np
    import pandas as pd

    if by_id.empty:  # as on most days; `map` takes longer for it than for one that has something
        return pd.Series(np.nan, index=ids.index, dtype="str")
    return ids.map(by_id).astype("str")


def _words(words: Sequence[str], codes: np.ndarray, index: pd.Index) -> pd.Series:
    import pandas as pd
    import pyarrow as pa

    return pd.Series(pd.array(pa.array(words, pa.large_string()).take(pa.array(codes)), dtype="str"), index=index)
