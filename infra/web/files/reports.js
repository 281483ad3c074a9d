// The reports page: its filter completes, and its charts are files to take away.

import { offer } from "jobledger/offers";
import "jobledger/drawing";
import "jobledger/page";

const filter = document.getElementById("filter");
if (filter) offer(filter, document.getElementById("offers"), () => {});
