"""Settings of nonlinear and linear solves."""

from __future__ import annotations

from dataclasses import replace

from neml2_aoti_plugin.artifact.fields import Fields
from neml2_aoti_plugin.artifact.manifest import (
    CacheStrategy,
    KrylovMethod,
    KrylovSettings,
    LineSearch,
    NewtonSettings,
)


def read_newton_settings(root: Fields) -> NewtonSettings | None:
    """Settings of every implicit segment; ``None`` for a model that has none."""
    fields = root.optional_object("solver_config")
    if fields is None:
        return None
    return NewtonSettings(
        absolute_tolerance=fields.number("atol"),
        relative_tolerance=fields.number("rtol"),
        max_iterations=fields.integer("miters"),
        line_search=fields.choice("ls_type", LineSearch),
        line_search_max_iterations=fields.integer("ls_max_iters"),
        line_search_cutback=fields.number("ls_cutback", above_zero=True),
        line_search_constant=fields.number("ls_c"),
        update_tolerance=fields.number("substep_del_tol", or_infinite=True),
    )


def read_segment_newton_settings(segment: Fields) -> NewtonSettings | None:
    """The settings that a segment records for itself, ``None`` where it does not."""
    if not segment.has("atol", "rtol", "miters", "linesearch"):
        return None
    settings = NewtonSettings(
        absolute_tolerance=segment.number("atol"),
        relative_tolerance=segment.number("rtol"),
        max_iterations=segment.integer("miters"),
    )
    search = segment.optional_object("linesearch")
    if search is None:
        return settings
    return replace(
        settings,
        line_search=search.choice("type", LineSearch),
        line_search_max_iterations=search.integer("max_iters"),
        line_search_cutback=search.number("cutback", above_zero=True),
        line_search_constant=search.number("c"),
    )


def read_forward_krylov_settings(root: Fields) -> KrylovSettings | None:
    """Settings of the linear solves inside Newton, ``None`` where those are direct."""
    fields = root.optional_object("solver_config")
    if fields is None or fields.word("solver_kind", "direct", "krylov") == "direct":
        return None
    krylov = fields.object("krylov")
    return _read_krylov(
        krylov,
        cache_strategy=krylov.choice("cache_strategy", CacheStrategy),
        cache_max_iterations=krylov.integer("cache_max_its"),
    )


def read_sensitivity_krylov_settings(segment: Fields, key: str) -> KrylovSettings | None:
    """Settings in a sensitivity descriptor, ``None`` where its solve is direct.

    One solve has no iterations to share a preconditioner between, so no cache is recorded.
    """
    fields = segment.object(key)
    if fields.word("kind", "direct", "krylov") == "direct":
        return None
    return _read_krylov(
        fields.object("krylov"), cache_strategy=CacheStrategy.NONE, cache_max_iterations=0
    )


def _read_krylov(
    fields: Fields, *, cache_strategy: CacheStrategy, cache_max_iterations: int
) -> KrylovSettings:
    return KrylovSettings(
        method=fields.choice("method", KrylovMethod),
        restart=fields.integer("restart", minimum=1),
        max_iterations=fields.integer("max_its"),
        absolute_tolerance=fields.number("abs_tol"),
        relative_tolerance=fields.number("rel_tol"),
        cache_strategy=cache_strategy,
        cache_max_iterations=cache_max_iterations,
    )
