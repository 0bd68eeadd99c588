#pragma once

#include "errors.h"

namespace neml2_aoti_plugin
{

/// A compiled graph threw while it ran: an exactly singular matrix in a graph that checks for it, a
/// graph that does not fit its metadata, or no memory.
class GraphRunError : public Error
{
public:
  using Error::Error;
};

} // namespace neml2_aoti_plugin
