// What an artifact says about the shapes of the variables in the state; segments name variables
// only.
#pragma once

#include <string>
#include <unordered_map>

#include "description/model_description.h"

namespace neml2_aoti_plugin
{

struct KnownShape
{
  Shape base;
  std::optional<Shape> sub_batch;
};

class ShapeTable
{
public:
  explicit ShapeTable(const ModelDescription & model);

  /// Unset for variables that only forward segments without derivative graphs see.
  std::optional<KnownShape> find(const std::string & variable) const;

private:
  void add(const std::string & variable, const Shape & base,
           const std::optional<Shape> & sub_batch);
  void add_pairs(const std::vector<InputPair> & pairs);
  void add_segment(const ForwardSegmentDescription & segment);
  void add_segment(const ImplicitSegmentDescription & segment);

  std::unordered_map<std::string, KnownShape> shapes_;
};

} // namespace neml2_aoti_plugin
