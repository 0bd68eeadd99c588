// The initial guess that a graph computes from the state.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "description/segment.h"
#include "graphs/graph_store.h"
#include "layout/shape_table.h"
#include "segments/placement.h"
#include "segments/state.h"

namespace neml2_aoti_plugin
{

class Predictor
{
public:
  Predictor(PredictorDescription description, const std::string & segment,
            const ShapeTable & shapes, GraphStore & graphs);

  /// Writes its outputs to the state, after as many passes as the artifact asks for.
  void run(State & state, std::int64_t rows, const at::TensorOptions & options,
           const std::optional<Placement> & placement) const;

  bool predicts(const std::string & variable) const;
  const std::vector<std::string> & inputs() const { return description_.inputs; }
  const std::vector<std::string> & outputs() const { return description_.outputs; }

private:
  void pass(State & state, std::int64_t rows, const std::optional<Placement> & placement) const;

  PredictorDescription description_;
  std::string segment_;
  Graph & graph_;
  std::vector<std::optional<KnownShape>> output_shapes_;
};

} // namespace neml2_aoti_plugin
