// Derivatives that a graph returns as one tensor per pair of groups (artifacts of neml2 3.0.0 to
// 3.0.3), taken apart into one matrix per pair of variables.
//
// The tensor of a cell is (rows, *sites, width of the row group, width of the column group), with
// the sub-batch axes of the groups that are blocks as sites. A width counts whole variables in a
// dense group and one site of them in a block.
//
// With respect to a block of givens, the graphs differentiate as if all sites moved together. That
// is the derivative of each site by itself only if nothing joins the sites: where every group of
// unknowns is a block over the same sites.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "description/segment.h"

namespace neml2_aoti_plugin
{

/// The pairs of variables, cell by cell, in the order of cell_blocks(). Both shapes are those of
/// whole values, sub-batch and base together.
std::vector<InputPair> cell_pairs(const std::vector<Cell> & cells);

/// Givens whose sites other unknowns join: the graph does not tell the derivatives by each site.
std::vector<std::string> joined_givens(const std::vector<Cell> & cells);

/// One matrix (rows, |unknown|, |given|) per pair, from one tensor per cell. Throws ArtifactError
/// naming `graph` where a tensor does not have the shape of its cell.
std::vector<at::Tensor> cell_blocks(const std::vector<Cell> & cells,
                                    const std::vector<at::Tensor> & tensors, std::int64_t rows,
                                    const std::string & graph);

} // namespace neml2_aoti_plugin
