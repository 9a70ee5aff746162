"""A board as the room of those that wait."""

from dataclasses import replace
from typing import Self

from clbalance.lazy_dataclass import dataclass
from clbalance.model import Request
from clbalance.policy.board import Board, Holding
from clbalance.policy.select import Rng


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardRoom:
    """`copies_share_nodes`: whether several copies of one request may be on one node."""

    board: Board
    rng: Rng
    copies_share_nodes: bool = False

    def place(self, request: Request) -> Holding | None:
        if self.copies_share_nodes and request.pick is not None and request.pick > 1:
            return self._place_one_by_one(request, request.pick)
        return self.board.place(request, self.rng)

    def fits(self, request: Request) -> bool:
        count = self.board.count_fitting(request)
        if count >= (request.pick or 1):
            return True
        return bool(count) and self.copies_share_nodes and self.copy().place(request) is not None

    def release(self, held: Holding) -> None:
        self.board.release(held)

    def hold(self, held: Holding) -> None:
        self.board.hold(held)

    def copy(self) -> Self:
        return replace(self, board=self.board.copy())

    def _place_one_by_one(self, request: Request, copies: int) -> Holding | None:
        """Copy by copy, each where the policy would put one more."""
        one = replace(request, pick=1)
        taken: list[Holding] = []
        while len(taken) < copies:
            held = self.board.place(one, self.rng)
            if held is None:
                for again in taken:
                    self.board.release(again)
                return None
            taken.append(held)
        return Holding(promises=tuple(promise for held in taken for promise in held.promises))
