// The browser's page inside the program: Scripts/page writes both files from those in
// Sources/MetricsSidecar/Dashboard, and `make lint` fails if they differ.
#include "CSidecarDashboard.h"

// #embed is C23's; clang has it in every C, and warns.
#pragma clang diagnostic ignored "-Wc23-extensions"

static const uint8_t page[] = {
#embed "page.html.gz"
};

static const uint8_t policy[] = {
#embed "policy.txt"
};

cd_bytes cd_page(void) { return (cd_bytes){page, sizeof page}; }

cd_bytes cd_policy(void) { return (cd_bytes){policy, sizeof policy}; }
