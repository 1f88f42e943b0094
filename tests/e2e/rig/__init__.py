# SPDX-License-Identifier: Apache-2.0
"""What the e2e ring stands on: real servers, the built programs, and waiting with a deadline."""
