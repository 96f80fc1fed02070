#pragma once

#include <optional>
#include <string>

#include "croton/graph/function_graph.h"
#include "croton/optimizer/optimizer.h"

namespace croton {

/// Gives every node of a graph with static shapes a place, the host or a device, and inserts the transfers
/// between them (placement.cpp says how it chooses). Throws DeviceError where the flag assert_no_cpu_op
/// forbids what stays on the host.
void place_on_device(FunctionGraph& graph, const SpecializeOptions& options);

/// Puts sums of outer products in the place of matrix products on a device whose inner extent is at most 3:
/// they fuse with the elementwise work around them. For graphs with static shapes.
void expand_thin_products(FunctionGraph& graph);

/// Computes sums over the rows of matrices on a device that share operands, and products of matrices that are
/// few such sums each, together, with the elementwise work that only they need: one CompositeReduce of
/// several values, which passes over memory once. For graphs with static shapes.
void share_column_sums(FunctionGraph& graph);

/// Puts a bias and a relu behind a matrix product on a device into the product, where a library computes it
/// with them (SpecializeOptions::has_epilogues) and they would not fuse with anything else. For graphs with
/// static shapes.
void fuse_product_epilogues(FunctionGraph& graph, const SpecializeOptions& options);

/// Cuts elementwise work on a device on several windows of one join so that each piece needs parts of the
/// join's operands only. For graphs with static shapes.
void split_joins(FunctionGraph& graph);

/// Does elementwise work and pooling behind convolutions over c01b or b01c in that layout, so that
/// transpositions between adjacent ones meet and go. For graphs with static shapes.
void keep_layouts(FunctionGraph& graph);

/// Has poolings by maxima on a device say where these lie, for their gradients. For graphs with static
/// shapes, once convolutions are chosen.
void keep_pool_places(FunctionGraph& graph);

/// Says on products and convolutions of float32 that libraries compute on a device what the flag precision
/// lets them round (attribute "precision"), unless it is ieee.
void mark_precision(FunctionGraph& graph);

/// Fuses elementwise nodes into Composite nodes, and elementwise nodes with the reductions that they feed or
/// that feed them into CompositeReduce nodes. For graphs with static shapes. Linear in the number of nodes;
/// equal surroundings give equal bodies.
void fuse(FunctionGraph& graph);

/// Marks nodes that may overwrite an input: one whose memory nobody reads later and that belongs to nobody
/// else (the caller's inputs, constants, results). The graph stays orderable.
void mark_in_place(FunctionGraph& graph, const SpecializeOptions& options);

/// What keeps a node of a specialised graph out of a fused one, or from computing in place; nothing where it
/// is fused or in place.
std::optional<std::string> why_not_fused(const FunctionGraph& graph, const Node& node);
std::optional<std::string> why_not_in_place(FunctionGraph& graph, const Node& node);

}  // namespace croton
