// The reports page: its filter completes, and its charts are files to take away.

import { offer } from "jobledger/offers";
import "jobledger/drawing";

const filter = document.getElementById("filter");
if (filter) offer(filter, document.getElementById("offers"), () => {});
