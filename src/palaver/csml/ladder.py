"""Operators by their rank: the stack on which an expression grows.

Takes operands and operators in the order they are written and yields one tree. Reading them is
the parser's. Spec: csml-language §3.4.
"""

from __future__ import annotations

from typing import Final, cast

from palaver.csml.lexer import RANKS
from palaver.csml.mistakes import Miss
from palaver.csml.nodes import Binary, BinaryOperator, Expression, Not
from palaver.csml.source import Position

COMPARISON: Final = RANKS["=="]
NEGATION: Final = RANKS["!"]


class Ladder:
    """Operands and the operators that wait for their right side, loosest at the bottom."""

    __slots__ = ("count", "operands", "waiting")

    def __init__(self) -> None:
        self.operands: list[Expression] = []
        self.waiting: list[tuple[str, int, Position | None]] = []
        self.count = 0

    def top(self) -> int:
        """The rank of the operator that waits for the next operand; 0 for none."""
        return RANKS[self.waiting[-1][0]] if self.waiting else 0

    def push(self, operator: str, offset: int, at: Position | None = None) -> None:
        """Lets an operator wait. `offset` is where to go back to when nothing follows it."""
        self.waiting.append((operator, offset, at))
        self.count += 1

    def fold(self, rank: int) -> None:
        """Completes every waiting operator of that rank or a tighter one."""
        operands = self.operands
        while self.waiting and RANKS[self.waiting[-1][0]] >= rank:
            operator, _, at = self.waiting.pop()
            right = operands.pop()
            if at is not None:
                operands.append(Not(right, at))
            else:
                left = operands.pop()
                operands.append(Binary(cast(BinaryOperator, operator), left, right, left.at))

    def give_up(self, miss: Miss) -> int:
        """Drops the operator that has no right side; returns where it stood.

        A comparison without its right side is none at all, and `!` without an operand is looked
        at again as an operand, which it is not: both spoil what they stand in.
        """
        while self.waiting:
            operator, offset, _ = self.waiting.pop()
            self.count -= 1
            if operator == "!":
                miss = Miss(offset)
            elif RANKS[operator] == COMPARISON:
                self.operands.pop()
            else:
                return offset
        raise miss
