"""Slots and groups of an implicit segment: which variables are stored together, and how."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from neml2_aoti_plugin.artifact.fields import Fields, enumeration
from neml2_aoti_plugin.artifact.manifest import Group, Shape, Slot, Structure
from neml2_aoti_plugin.artifact.scope import BaseShapes


def slot_size(slot: Slot) -> int:
    """Values that one row of the batch holds for the slot."""
    return math.prod(slot.sub_batch_shape) * math.prod(slot.base_shape)


def group_size(group: Group) -> int:
    return sum(slot_size(slot) for slot in group.slots)


def packed_shape(group: Group) -> Shape:
    """Shape of the group's tensor, without the batch."""
    if group.structure is Structure.BLOCK:
        return (*group.sub_batch_shape, sum(math.prod(slot.base_shape) for slot in group.slots))
    return (group_size(group),)


def read_slot(fields: Fields, shapes: BaseShapes) -> Slot:
    name = fields.text("name")
    slot = Slot(
        name=name,
        base_shape=shapes.read(fields, name),
        sub_batch_shape=fields.shape("sub_batch_shape"),
    )
    if fields.integer("var_size") != slot_size(slot):
        raise fields.error(
            "var_size", f"{slot_size(slot)}, the product of sub_batch_shape and base_shape"
        )
    return slot


def read_groups(
    fields: Fields, key: str, slots: Mapping[str, Slot], shapes: BaseShapes
) -> tuple[Group, ...]:
    """The groups under ``key``; their variables are of ``slots``, each in one group at most."""
    grouped: set[str] = set()
    groups = []
    for entry in fields.objects(key):
        group = _read_group(entry, slots, shapes)
        for index, slot in enumerate(group.slots):
            if slot.name in grouped:
                raise entry.error(
                    "var_names", "names that stand in one group only", indices=(index,)
                )
            grouped.add(slot.name)
        groups.append(group)
    return tuple(groups)


def check_all_grouped(
    fields: Fields, key: str, groups: Sequence[Group], names: Sequence[str]
) -> None:
    grouped = {slot.name for group in groups for slot in group.slots}
    left_out = [name for name in names if name not in grouped]
    if left_out:
        raise fields.error(key, f"groups that hold every variable, also {enumeration(left_out)}")


def check_partners(
    fields: Fields, residual_groups: Sequence[Group], unknown_groups: Sequence[Group]
) -> None:
    """Residual group k belongs to unknown group k, with the same layout."""
    key = "residual_group_infos"
    if len(residual_groups) != len(unknown_groups):
        raise fields.error(key, f"a list of length {len(unknown_groups)}, as unknown_group_infos")
    for index, (residuals, unknowns) in enumerate(
        zip(residual_groups, unknown_groups, strict=True)
    ):
        if _layout(residuals) != _layout(unknowns):
            raise fields.error(
                key, f"{_described(unknowns)}, as unknown_group_infos[{index}]", indices=(index,)
            )


def _read_group(fields: Fields, slots: Mapping[str, Slot], shapes: BaseShapes) -> Group:
    structure = fields.choice("structure", Structure)
    sub_batch_shape = fields.shape("sub_batch_shape")
    members = tuple(
        _read_member(entry, slots, shapes)
        for entry in fields.named_objects("per_var_info", slots, "the variables of the segment")
    )
    if not members:
        raise fields.error("per_var_info", "at least one variable")
    if fields.names("var_names") != tuple(slot.name for slot in members):
        raise fields.error("var_names", "the names in per_var_info, in the same order")
    if structure is Structure.BLOCK:
        _check_common_sub_batch(fields, sub_batch_shape, members)
    return Group(
        structure=structure,
        sub_batch_shape=sub_batch_shape if structure is Structure.BLOCK else (),
        slots=members,
    )


def _read_member(fields: Fields, slots: Mapping[str, Slot], shapes: BaseShapes) -> Slot:
    slot = read_slot(fields, shapes)
    declared = slots[slot.name].sub_batch_shape
    if slot.sub_batch_shape != declared:
        raise fields.error("sub_batch_shape", f"{list(declared)}, as declared in the segment")
    return slot


def _check_common_sub_batch(fields: Fields, shape: Shape, members: Sequence[Slot]) -> None:
    for slot in members:
        if slot.sub_batch_shape != shape:
            raise fields.error(
                "sub_batch_shape",
                f"{list(slot.sub_batch_shape)}, that of '{slot.name}' in this block group",
            )


def _layout(group: Group) -> tuple[Structure, Shape, int]:
    return group.structure, group.sub_batch_shape, group_size(group)


def _described(group: Group) -> str:
    shape = f" over {list(group.sub_batch_shape)}" if group.structure is Structure.BLOCK else ""
    return f"a {group.structure.value} group{shape} of {group_size(group)} values"
