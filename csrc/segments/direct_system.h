// Systems whose linear solves are compiled graphs. One exactly singular row makes such a graph
// throw for all rows; it is then found by bisection, fails alone, and the others pass.
#pragma once

#include "segments/graph_system.h"

namespace neml2_aoti_plugin
{

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

} // namespace neml2_aoti_plugin
