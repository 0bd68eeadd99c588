// A system whose linear solves are iterative: A du = b by products with A alone.
#pragma once

#include "numerics/krylov.h"
#include "segments/graph_system.h"

namespace neml2_aoti_plugin
{

/// M^-1 for the rows of one system, made by a graph and kept between updates as the settings say.
/// Without graphs it is the identity.
class Preconditioner
{
public:
  Preconditioner(Graph * setup, Graph * apply, const KrylovSettings & settings)
      : setup_(setup), apply_(apply), settings_(settings)
  {
  }

  /// To be called before each linear solve, with what the setup graph takes.
  void prepare(const Tensors & arguments);

  /// To be called after it, with the most directions that a row took.
  void note_iterations(std::int64_t taken) { last_iterations_ = taken; }

  /// `r` and the result are (rows, n), with the rows `of` these arguments.
  at::Tensor operator()(const at::Tensor & r, const SolveArguments & of) const;

  Preconditioner restricted_to(const at::Tensor & rows, const SolveArguments & of) const;

private:
  bool is_due() const;

  Graph * setup_;
  Graph * apply_;
  KrylovSettings settings_;
  Tensors state_; // empty until first made
  std::int64_t last_iterations_ = 0;
};

class KrylovSystem : public GraphSystem
{
public:
  KrylovSystem(Graph & residual, Graph & matvec, Preconditioner preconditioner,
               const KrylovSettings & settings, SolveArguments arguments)
      : GraphSystem(residual, std::move(arguments)), matvec_(matvec),
        preconditioner_(std::move(preconditioner)), settings_(settings)
  {
  }

  /// A row whose linear solve could not reduce its residual at all has failed.
  NewtonUpdate update(const Groups & u) override;
  std::unique_ptr<NonlinearSystem> restricted_to(const at::Tensor & rows) const override;

private:
  at::Tensor product(const Tensors & arguments, const Groups & like, const at::Tensor & v) const;

  Graph & matvec_;
  Preconditioner preconditioner_;
  KrylovSettings settings_;
};

} // namespace neml2_aoti_plugin
