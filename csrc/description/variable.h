// Variables of a model and how they are stored together. Shapes leave out the batch: a value has
// the shape (rows, *sub_batch_shape, *base_shape).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace neml2_aoti_plugin
{

using Shape = std::vector<std::int64_t>;

/// A master input or output. `name` is used by segments, `public_name` by callers.
struct BoundaryVariable
{
  std::string name;
  std::string public_name;
  Shape base_shape;
  std::optional<Shape> sub_batch_shape; // unset: not recorded in the artifact
};

/// A promoted parameter with its initial value, row-major.
struct ParameterDescription
{
  std::string name;
  std::string public_name;
  Shape shape;
  Shape base_shape;
  std::vector<double> values;
  std::optional<std::string> dtype; // unset: the dtype of the model; else int64, int32 or bool
};

/// One variable inside a group.
struct Slot
{
  std::string name;
  Shape base_shape;
  Shape sub_batch_shape;
};

enum class Structure
{
  Dense,
  Block
};

/// Variables stored side by side on the last axis of one tensor:
/// dense (rows, sum(prod(sub) * prod(base))), block (rows, *sub_batch_shape, sum(prod(base))).
struct Group
{
  Structure structure;
  Shape sub_batch_shape; // empty for dense groups
  std::vector<Slot> slots;
};

/// One block d(output)/d(input) that a graph returns. The offsets are those of the block in the
/// matrix du/dg of a whole implicit segment.
struct InputPair
{
  std::string output;
  std::string input;
  Shape output_base_shape;
  Shape input_base_shape;
  Shape input_sub_batch_shape;
  bool batch_independent;
  std::int64_t row_offset = 0;
  std::int64_t column_offset = 0;
};

/// One block d(output)/d(parameter) that a graph returns; offsets as in InputPair, in du/dp.
struct ParameterPair
{
  std::string output;
  std::string parameter;
  Shape output_base_shape;
  Shape parameter_base_shape;
  std::int64_t row_offset = 0;
  std::int64_t column_offset = 0;
};

/// What a substep does with a value that its solve holds fixed: `f~1` is the old value of `f`.
enum class Role
{
  OldState,     // old value of an unknown: the solution of the substep before
  CurrentForce, // interpolated to the end of the substep
  OldForce,     // interpolated to its start
  Incremental,  // scaled with the length of the substep
  Static        // held
};

struct Given
{
  std::string name;
  Role role;
  std::string pair; // the unknown, or the other force; empty where the role has none
};

} // namespace neml2_aoti_plugin
