// SPDX-License-Identifier: Apache-2.0
// How much is logged. The order counts: a line is written where its level is at least the log's.
#ifndef PRECIS_BASE_LEVEL_H
#define PRECIS_BASE_LEVEL_H

enum level { LEVEL_DEBUG, LEVEL_INFO, LEVEL_WARN, LEVEL_ERROR };

#endif
