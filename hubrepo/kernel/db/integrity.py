"""Rows that refer to rows which are not there. Databases see to it; damaged files and hands do not."""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from sqlalchemy import ForeignKeyConstraint, Select, and_, exists, func, select
from sqlalchemy.orm import Session

from hubrepo.kernel.db.types import Base


class Dangling(NamedTuple):
    """So many rows of `table` refer, by these columns, to rows of `parent` that are not there."""

    table: str
    columns: tuple[str, ...]
    parent: str
    rows: int


def dangling(db: Session) -> Iterator[Dangling]:
    """What every foreign key promises, asked for: one statement each."""
    for table in Base.metadata.sorted_tables:
        for constraint in sorted(table.foreign_key_constraints, key=lambda each: str(each.name)):
            if rows := db.scalar(_count(constraint)):
                parent = constraint.referred_table.name
                yield Dangling(table.name, tuple(constraint.column_keys), parent, rows)


@cache
def _count(constraint: ForeignKeyConstraint) -> Select[int]:
    """How many rows break the promise."""
    parent = constraint.referred_table.alias()
    own = [element.parent for element in constraint.elements]
    same = and_(
        *(parent.c[element.column.name] == element.parent for element in constraint.elements)
    )
    return (
        select(func.count())
        .select_from(constraint.table)
        .where(*(column.is_not(None) for column in own), ~exists().where(same))
    )
