// The reports page: its filter completes, and its charts are files to take away.

import { Lines } from "jobledger/lines";
import { offer } from "jobledger/completion";
import "jobledger/download";
import "jobledger/page";

const plot = document.getElementById("lines");
if (plot) new Lines(plot).draw();
const filter = document.getElementById("filter");
if (filter) offer(filter, document.getElementById("offers"), () => {});
