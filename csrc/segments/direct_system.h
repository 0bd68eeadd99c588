// Systems whose Newton updates are solved for directly: by our own factors of A, or by compiled
// graphs. One exactly singular row makes such a graph throw for all rows; it is then found by
// bisection, fails alone, and the others pass.
#pragma once

#include "numerics/direct_solver.h"
#include "segments/graph_system.h"

namespace neml2_aoti_plugin
{

/// Linear solves by a graph.
class DirectSystem : public GraphSystem
{
public:
  using GraphSystem::GraphSystem;

  NewtonUpdate update(const Groups & u) override;

protected:
  /// The graph whose linear solve may fail, with its arguments at u.
  struct LinearSolve
  {
    Graph * graph;
    Tensors arguments;
    std::size_t results;
    at::Tensor matrix;            // A, where it is one dense matrix per row; else undefined
    bool returns_iterate = false; // u + du in place of du
  };

  virtual LinearSolve linear_solve(const Groups & u) const = 0;

private:
  NewtonUpdate update_by_halves(const Groups & u) const;
};

/// step(u, g, p) -> du, b; or u + du and the residual there
class FusedSystem : public DirectSystem
{
public:
  FusedSystem(Graph & residual, Graph & step, bool returns_iterate, SolveArguments arguments)
      : DirectSystem(residual, std::move(arguments)), step_(step), returns_iterate_(returns_iterate)
  {
  }

  std::unique_ptr<NonlinearSystem> restricted_to(const at::Tensor & rows) const override;

private:
  LinearSolve linear_solve(const Groups & u) const override;

  Graph & step_;
  bool returns_iterate_;
};

/// jacobian(u, g, p) -> A, b; solve(A, b) -> du
class OperatorSystem : public DirectSystem
{
public:
  OperatorSystem(Graph & residual, Graph & jacobian, Graph & solve, SolveArguments arguments)
      : DirectSystem(residual, std::move(arguments)), jacobian_(jacobian), solve_(solve)
  {
  }

  std::unique_ptr<NonlinearSystem> restricted_to(const at::Tensor & rows) const override;

private:
  LinearSolve linear_solve(const Groups & u) const override;

  Graph & jacobian_;
  Graph & solve_;
};

/// jacobian(u, g, p) -> A, b, and A du = b by our own factors
class FactorisedSystem : public GraphSystem
{
public:
  FactorisedSystem(Graph & residual, Graph & jacobian, const DirectSolver & solver,
                   SolveArguments arguments)
      : GraphSystem(residual, std::move(arguments)), jacobian_(jacobian), solver_(solver)
  {
  }

  NewtonUpdate update(const Groups & u) override;
  std::optional<Linearization> linearized(const Groups & u) const override;
  bool has_factors() const override { return solver_.has_factors(); }
  std::unique_ptr<NonlinearSystem> restricted_to(const at::Tensor & rows) const override;

private:
  Tensors blocks(const Groups & u) const;

  Graph & jacobian_;
  const DirectSolver & solver_;
};

} // namespace neml2_aoti_plugin
