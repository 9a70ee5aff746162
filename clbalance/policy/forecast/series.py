"""The forecast of one load index of one node: a running best of simple predictors. Pure.

As in the Network Weather Service (Wolski, Spring and Hayes, 1999), every predictor is compared with what came, and
those that were right lately count most. Time goes in steps of five minutes; the first sample of a step counts.

What is known of an index is a row of numbers (`numbers_of_new`), which `add` changes with each sample in constant time.
"""

import math
from array import array
from typing import Final, TypeAlias

from clbalance.model.forecast import Expected

Numbers: TypeAlias = "array[float]"

STEP_S: Final = 300
FORGOTTEN_AFTER: Final = 2 * 86_400 // STEP_S
"""Steps, two days, without a sample: then nothing is expected."""
HORIZONS: Final = (1, 3, 6, 12)
"""In steps. For each of these times ahead the predictors are compared by themselves."""
PREDICTORS: Final = (
    "last value",
    "mean of 12",
    "median of 5",
    "median of 12",
    "median of 24",
    "smoothing 0.5",
    "smoothing 0.02",
    "trend",
    "hour of the day",
)
_LAST: Final = 0

_WINDOW: Final = 24
_DAY: Final = 86_400 // STEP_S
_HOUR: Final = 3600 // STEP_S
_FAR: Final = HORIZONS[-1]
_NEARER: Final = (0, *HORIZONS[:-1])
_WIDTH: Final = len(PREDICTORS)

# Where the numbers stand in a row.
_SLOT, _COUNT, _FAST, _SLOW, _LEVEL, _SLOPE, _HOUR_SUM, _HOUR_COUNT = range(8)
_VALUES: Final = 8
"""The last `_WINDOW` values, the newest first."""
_BY_HOUR: Final = _VALUES + _WINDOW
"""The usual value of each hour of the day (UTC); NaN: not known."""
_PENDING: Final = _BY_HOUR + 24
"""What was predicted in the last `_FAR` steps, a line for each; NaN: no sample in that step. The last two of a line are
the level and the slope of the trend; the hour of the day follows from the first."""
_SCORED: Final = _PENDING + _FAR * _WIDTH
"""How many predictions of each horizon have been compared; old ones count less."""
_ERRORS: Final = _SCORED + len(HORIZONS)
"""Their absolute errors, summed likewise, a line for each horizon."""
SIZE: Final = _ERRORS + len(HORIZONS) * _WIDTH

_SMOOTHING_FAST: Final = 0.5
_SMOOTHING_SLOW: Final = 0.02
_SMOOTHING_SLOPE: Final = 0.1
_DAMPING: Final = 0.8
"""Of the trend at each step: no load rises for ever (Gardner and McKenzie, 1985)."""
_SMOOTHING_HOURS: Final = 0.3
_KEPT: Final = 0.99
"""The share of an earlier error that still counts at the next one: half of it after about six hours."""
_COMPARED_OF_SEVEN: Final = 4
_DOUBT: Final = 12.0
"""As if each predictor had been half again as wrong as the last value so many times: it has to prove itself."""
_DOUBT_FACTOR: Final = 1.5
_SHARPNESS: Final = 8
"""A predictor that is half as wrong as another weighs 2 ** 8 times as much: a running best, shared by near equals."""
_TINY: Final = 1e-9
_LARGEST: Final = 1e12


def numbers_of_new() -> Numbers:
    """The row of an index that was never sampled."""
    numbers = array("f", bytes(4 * SIZE))
    numbers[_BY_HOUR:_PENDING] = array("f", [math.nan]) * (_PENDING - _BY_HOUR)
    _forget_pending(numbers)
    return numbers


def is_sound(numbers: Numbers) -> bool:
    """Whether these may be numbers of ours: a damaged database may hold anything."""
    return (
        len(numbers) == SIZE
        and math.isfinite(sum(numbers[:_BY_HOUR]) + sum(numbers[_SCORED:]))
        and min(numbers[_COUNT], *numbers[_SCORED:]) >= 0.0  # counts, and sums of absolute errors
    )


def is_sample(value: float) -> bool:
    """Whether the value can be counted: a node may send anything."""
    return -_LARGEST < value < _LARGEST


def add(numbers: Numbers, slot: int, value: float) -> None:
    """Count the value of step `slot`; nothing, if that step has one already.

    Where samples are missing, what was predicted for these steps is not compared. If the clock was set back, or after a
    day without samples, the predictors begin anew; what they were worth is kept.
    """
    gap = slot - int(numbers[_SLOT])
    if not numbers[_COUNT] or not 0 <= gap <= _DAY:
        _begin(numbers, slot, value)
    elif gap:
        for missing in range(1, min(gap, _FAR + 1)):
            numbers[_line(slot - missing)] = math.nan
        _compare(numbers, slot, value)
        _count(numbers, slot, value)
    else:
        return
    _predict(numbers, slot)


def _begin(numbers: Numbers, slot: int, value: float) -> None:
    _forget_pending(numbers)
    numbers[_SLOT], numbers[_COUNT] = slot, 1.0
    numbers[_FAST] = numbers[_SLOW] = numbers[_LEVEL] = numbers[_VALUES] = value
    numbers[_SLOPE] = 0.0
    numbers[_HOUR_SUM], numbers[_HOUR_COUNT] = value, 1.0


def _compare(numbers: Numbers, slot: int, value: float) -> None:
    """Compare what was predicted for this step with what came. Far ahead only four times of seven, to save a third of
    the time: neighbours differ little, and seven steps are in step with nothing that comes every hour.
    """
    turn = int(numbers[_COUNT])
    for at, horizon in enumerate(HORIZONS):
        if at and (turn + at) % 7 >= _COMPARED_OF_SEVEN:
            continue
        steps, first, begin = horizon, _line(slot - horizon), _ERRORS + at * _WIDTH
        # Where nodes are asked more rarely, a prediction between two horizons counts for the farther one.
        while math.isnan(numbers[first]) and steps - 1 > _NEARER[at]:
            steps -= 1
            first = _line(slot - steps)
        if math.isnan(numbers[first]):
            continue
        line = numbers[first : first + _WIDTH].tolist()
        _look_ahead(numbers, line, slot - steps, steps)
        errors = numbers[begin : begin + _WIDTH].tolist()
        sums = [_KEPT * error + abs(predicted - value) for error, predicted in zip(errors, line, strict=True)]
        numbers[begin : begin + _WIDTH] = array("f", sums)
        numbers[_SCORED + at] = _KEPT * numbers[_SCORED + at] + 1.0


def _count(numbers: Numbers, slot: int, value: float) -> None:
    before = int(numbers[_SLOT])
    if before // _HOUR != slot // _HOUR:
        _end_hour(numbers, before)
    numbers[_HOUR_SUM] += value
    numbers[_HOUR_COUNT] += 1.0
    count = numbers[_COUNT] + 1.0
    numbers[_SLOT], numbers[_COUNT] = slot, count
    numbers[_FAST] += max(_SMOOTHING_FAST, 1.0 / count) * (value - numbers[_FAST])
    numbers[_SLOW] += max(_SMOOTHING_SLOW, 1.0 / count) * (value - numbers[_SLOW])
    level, slope = numbers[_LEVEL], numbers[_SLOPE]
    numbers[_LEVEL] = 0.5 * value + 0.5 * (level + slope)
    numbers[_SLOPE] = _SMOOTHING_SLOPE * (numbers[_LEVEL] - level) + (1.0 - _SMOOTHING_SLOPE) * slope
    numbers[_VALUES + 1 : _BY_HOUR] = numbers[_VALUES : _BY_HOUR - 1]
    numbers[_VALUES] = value


def _end_hour(numbers: Numbers, slot: int) -> None:
    """The mean of the hour is known now."""
    at = _BY_HOUR + slot // _HOUR % 24
    mean, usual = numbers[_HOUR_SUM] / max(1.0, numbers[_HOUR_COUNT]), numbers[at]
    numbers[at] = usual + _SMOOTHING_HOURS * (mean - usual) if not math.isnan(usual) else mean
    numbers[_HOUR_SUM] = numbers[_HOUR_COUNT] = 0.0


def _predict(numbers: Numbers, slot: int) -> None:
    """Write down what each predictor says now."""
    values = numbers[_VALUES : _VALUES + min(_WINDOW, int(numbers[_COUNT]))].tolist()
    of_hour = values[:12]
    first = _line(slot)
    by_windows = (
        values[0],
        sum(of_hour) / len(of_hour),
        _median(values[:5]),
        _median(of_hour),
        _median(values),
    )
    numbers[first : first + _WIDTH] = array("f", by_windows) + numbers[_FAST : _SLOPE + 1]


def _median(values: list[float]) -> float:
    # `statistics.median` takes three times as long.
    values = sorted(values)
    half = len(values) // 2
    return values[half] if len(values) % 2 else 0.5 * (values[half - 1] + values[half])


def _look_ahead(numbers: Numbers, line: list[float], slot: int, steps: float) -> None:
    """Make of what was written down in step `slot` what that predicts for so many steps later."""
    line[-2] += line[-1] * _DAMPING * (1.0 - _DAMPING**steps) / (1.0 - _DAMPING)  # a level and its slope
    shift = numbers[_BY_HOUR + int(slot + steps) // _HOUR % 24] - numbers[_BY_HOUR + slot // _HOUR % 24]
    line[-1] = line[_LAST] + (0.0 if math.isnan(shift) else shift)


def expected(numbers: Numbers, at_s: float) -> Expected | None:
    """What to expect at that time (seconds since 1970); None if nothing is known of the two days before."""
    slot = int(numbers[_SLOT])
    steps = max(0.0, at_s / STEP_S - slot)
    if not numbers[_COUNT] or steps > FORGOTTEN_AFTER:
        return None
    first = _line(slot)
    line = numbers[first : first + _WIDTH].tolist()
    _look_ahead(numbers, line, slot, steps)
    at = next((at for at, horizon in enumerate(HORIZONS) if steps <= horizon), len(HORIZONS) - 1)
    scored = numbers[_SCORED + at]
    if scored < 1.0:
        return Expected(value=line[_LAST], error=None, last_error=None, by=PREDICTORS[_LAST])
    begin = _ERRORS + at * _WIDTH
    errors = [error / scored for error in numbers[begin : begin + _WIDTH].tolist()]
    weights = _weights(errors, scored)
    chosen = _weighted_median(line, weights)
    value = line[chosen]
    return Expected(
        value=line[_LAST] + min(1.0, steps) * (value - line[_LAST]),
        error=sum(map(float.__mul__, errors, weights)) / sum(weights),
        last_error=errors[_LAST],
        by=PREDICTORS[chosen],
    )


def _weights(errors: list[float], scored: float) -> list[float]:
    """The weight of each predictor by its mean error."""
    doubt = _DOUBT * errors[_LAST]
    doubted = [(error * scored + _DOUBT_FACTOR * doubt) / (scored + _DOUBT) + _TINY for error in errors]
    doubted[_LAST] = errors[_LAST] + _TINY
    least = min(doubted)
    return [(least / error) ** _SHARPNESS for error in doubted]


def _weighted_median(values: list[float], weights: list[float]) -> int:
    """Where it stands. One predictor that is far off does not move it, as it would move a mean."""
    left = 0.5 * sum(weights)
    order = sorted(range(len(values)), key=values.__getitem__)
    for at in order:
        left -= weights[at]
        if left <= 0.0:
            return at
    return order[-1]


def _line(slot: int) -> int:
    return _PENDING + slot % _FAR * _WIDTH


def _forget_pending(numbers: Numbers) -> None:
    numbers[_PENDING:_SCORED] = array("f", [math.nan]) * (_SCORED - _PENDING)
