// The cotangents of an increment, gathered substep by substep from the last to the first: the
// reverse of Increment.
#pragma once

#include <vector>

#include "description/variable.h"
#include "segments/increment.h"
#include "segments/segment.h"
#include "segments/sensitivity.h"

namespace neml2_aoti_plugin
{

class ReverseIncrement
{
public:
  /// `of_unknowns`: the cotangents of the solution, for all rows of the call.
  ReverseIncrement(const std::vector<Given> & givens, const Call & call, CotangentMap of_unknowns);

  /// The cotangents of the unknowns in these rows (undefined: all), which are zero from now on.
  CotangentMap taken(const at::Tensor & rows);

  /// What is to be computed for substeps: also the cotangents of old states, which lead to the
  /// substep before, and of the forces that others are interpolated from.
  Moving widened(const Moving & wanted) const;

  /// Adds what a substep over `span` contributed, in these rows.
  void add(const PulledBack & part, const at::Tensor & rows, const Span & span);

  const CotangentMap & givens() const { return givens_; }
  const CotangentMap & parameters() const { return parameters_; }

private:
  void add_given(const std::string & name, const at::Tensor & cotangent, const at::Tensor & rows,
                 const Span & span);
  void add_rows(CotangentMap & total, const std::string & name, const at::Tensor & part,
                const at::Tensor & rows) const;

  const std::vector<Given> & roles_;
  const Call & call_;
  CotangentMap unknowns_;
  CotangentMap givens_;
  CotangentMap parameters_;
};

/// Of blocks of rows that follow one another.
PulledBack joined(const std::vector<PulledBack> & parts);

} // namespace neml2_aoti_plugin
