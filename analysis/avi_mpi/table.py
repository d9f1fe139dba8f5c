"""A small table: columns of values, printed with errors beside."""

import html

import numpy


def number(value, error=None, digits=".6g"):
    """A value with its error as text, as many digits as the error leaves (`digits` where it has none); "" for NaN."""
    if value is None or not numpy.isfinite(value):
        return ""
    if error is None or not numpy.isfinite(error) or error <= 0:
        return f"{value:{digits}}"
    places = min(9, max(0, 1 - int(numpy.floor(numpy.log10(error)))))
    return f"{value:.{places}f} \u00b1 {error:.{places}f}"


class Table:
    """Columns of equal length: table["elbo_train"] is an array (rows); print(table) shows it; to_pandas() has all of it.

    columns   names of the columns (list of str)
    units     of the numbers (str)
    """

    def __init__(self, columns, shown=None, units=""):
        self._columns = columns
        self._shown = shown or [(name, name, None) for name in columns]
        self.columns, self.units = list(columns), units

    def __getitem__(self, name):
        if name not in self._columns:
            raise KeyError(f"{name!r} is no column of the table; it has {', '.join(self._columns)}")
        return numpy.asarray(self._columns[name])

    def __len__(self):
        return len(next(iter(self._columns.values()), []))

    def __iter__(self):
        return iter(self._columns)

    def to_pandas(self):
        """A pandas DataFrame. ImportError without pandas."""
        import pandas

        return pandas.DataFrame(self._columns)

    def _cells(self):
        """Rows of text, the names first; columns without a value are left out."""
        found = []
        for words, name, error in self._shown:
            values, errors = self._columns[name], self._columns[error] if error else [None] * len(self)
            cells = [value if isinstance(value, str) else number(value, e) for value, e in zip(values, errors)]
            if any(cells) or error is None:
                found.append([words, *cells])
        return list(zip(*found))

    def __str__(self):
        rows = self._cells()
        width = [max(len(cell) for cell in column) for column in zip(*rows)]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, width)).rstrip() for row in rows]
        return "\n".join(lines + ([f"({self.units})"] if self.units else []))

    __repr__ = __str__

    def _repr_html_(self):
        head, *rows = self._cells()
        line = lambda cells, tag: "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
        caption = f"<caption>{html.escape(self.units)}</caption>" if self.units else ""
        return f"<table>{caption}{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"
