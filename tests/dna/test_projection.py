"""The map: repeatable, true to distances, and computations that point at what suits them."""

import numpy as np
import pytest

from dnaml.core.errors import DnaVersionError, InputError
from dnaml.dna.learned import learn_space
from dnaml.dna.projection import Projection

NAMES = tuple(f"r{i}" for i in range(90))


def three_kinds(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return ln seconds [J, N] of three kinds of machine and the kind [N]: each is good at a third of the work."""
    rng = np.random.default_rng(seed)
    kind = np.repeat([0, 1, 2], 30)
    work = np.repeat([0, 1, 2], 20)
    log_s = np.where(work[:, None] == kind[None, :], -2.0, 0.0) + 0.3 * rng.normal(0, 1, (60, 90))
    return log_s, kind


def test_machines_of_one_kind_lie_together() -> None:
    log_s, kind = three_kinds()
    space = learn_space(log_s)
    latent = space.resources(log_s)
    xy = Projection.of(latent, space.version).resources(NAMES, latent).xy
    middles = np.array([xy[kind == one].mean(axis=0) for one in range(3)])
    spread = max(np.linalg.norm(xy[kind == one] - middles[one], axis=1).max() for one in range(3))
    apart = min(np.linalg.norm(middles[i] - middles[j]) for i in range(3) for j in range(i))
    assert apart > 2 * spread


def test_a_computation_points_at_the_machines_that_suit_it() -> None:
    log_s, kind = three_kinds()
    space = learn_space(log_s)
    latent = space.resources(log_s)
    projection = Projection.of(latent, space.version)
    points = projection.resources(NAMES, latent).xy
    arrows = projection.computations([f"c{i}" for i in range(60)], [space.catalogue(i) for i in range(60)])
    assert arrows.names[59] == "c59"
    for row, arrow in enumerate(arrows.xy):
        assert kind[np.argmax(points @ arrow)] == row // 20


def test_the_map_tells_how_much_it_shows() -> None:
    latent = np.zeros((50, 14))
    latent[:, 3], latent[:, 5] = np.linspace(-1, 1, 50), np.tile([0.1, -0.1], 25)
    latent[:, 9] = np.tile([0.05, 0.05, -0.05, -0.05, 0.0], 10)
    projection = Projection.of(latent, "v")
    share = projection.explained_share
    assert 1.0 > share.sum() > 0.98
    assert share[0] > share[1]
    xy = projection.resources(NAMES[:50], latent).xy
    np.testing.assert_allclose(xy[:, 0], latent[:, 3], atol=0.01)
    two = latent.copy()
    two[:, 9] = 0.0
    whole = Projection.of(two, "v")
    flat = whole.resources(NAMES[:50], two).xy
    np.testing.assert_allclose(
        np.linalg.norm(flat[:, None] - flat[None], axis=2), np.linalg.norm(two[:, None] - two[None], axis=2), atol=1e-9
    )
    assert whole.explained_share.sum() == pytest.approx(1.0)


def test_the_same_pool_gives_the_same_map_whatever_the_order_of_its_rows() -> None:
    log_s, _ = three_kinds()
    space = learn_space(log_s)
    latent = space.resources(log_s)
    projection, order = Projection.of(latent, "v"), np.random.default_rng(0).permutation(90)
    again = Projection.of(latent[order], "v")
    np.testing.assert_allclose(again.axes, projection.axes, atol=1e-9)
    assert (projection.axes[np.argmax(np.abs(projection.axes), axis=0), [0, 1]] > 0).all()


def test_the_sign_does_not_hang_on_rounding() -> None:
    latent = np.outer([-1.0, 0.0, 1.0], np.concatenate([[0.0, -1.0, 1.0], np.zeros(11)]))
    axes = [Projection.of(latent + jitter, "v").axes[:, 0] for jitter in (0.0, 1e-14, -1e-14)]
    for axis in axes:
        np.testing.assert_allclose(axis[1:3], [np.sqrt(0.5), -np.sqrt(0.5)])


def test_weights_say_which_resources_shape_the_map() -> None:
    latent = np.zeros((40, 14))
    latent[:20, 1], latent[20:, 2] = np.linspace(-1, 1, 20), np.linspace(-2, 2, 20)
    weights = np.where(np.arange(40) < 20, 1.0, 0.0)
    assert np.argmax(np.abs(Projection.of(latent, "v").axes[:, 0])) == 2
    assert np.argmax(np.abs(Projection.of(latent, "v", weights).axes[:, 0])) == 1


def test_one_resource_is_a_map_of_one_point() -> None:
    projection = Projection.of(np.ones((1, 14)), "v")
    np.testing.assert_array_equal(projection.explained_share, 0.0)
    np.testing.assert_allclose(projection.resources(["a"], np.ones((1, 14))).xy, 0.0)
    assert projection.resources([], np.zeros((0, 14))).xy.shape == (0, 2)


def test_what_cannot_be_drawn_is_refused() -> None:
    space = learn_space(three_kinds()[0])
    projection = Projection.of(np.zeros((2, 14)), "v")
    for call, said in (
        (lambda: Projection.of(np.zeros((0, 14)), "v"), r"N > 0, got \[0, 14\]"),
        (lambda: Projection.of(np.zeros((3, 2)), "v"), r"got \[3, 2\]"),
        (lambda: Projection.of(np.full((3, 14), np.nan), "v"), "finite"),
        (lambda: Projection.of(np.zeros((2, 14)), "v", np.zeros(2)), "positive sum"),
        (lambda: Projection.of(np.zeros((2, 14)), "v", np.array([1.0, -1.0])), "non-negative"),
        (lambda: Projection.of(np.zeros((2, 14)), "v", np.ones(3)), r"weights must be \[2\]"),
        (lambda: projection.resources(["a"], np.zeros((2, 14))), r"u must be \[1, 14\], got \[2, 14\]"),
        (lambda: projection.computations(["a"], []), "one name a loading, got 1 and 0"),
    ):
        with pytest.raises(InputError, match=said):
            call()
    with pytest.raises(DnaVersionError, match="learned-1-"):
        projection.computations(["c"], [space.catalogue(0)])
    assert projection.computations([], []).xy.shape == (0, 2)
