// A widget with files to ask for, and no drawing: its number is the mean of what the file holds.
import { tensorsOf } from "../../attn_utils/widgets/kit/buffers.js";
import { fileOffer } from "../../attn_utils/widgets/kit/files.js";
import { onceShown, openWidget } from "../../attn_utils/widgets/kit/frame.js";

function render({ model, el, signal }) {
  const w = openWidget({ model, el, signal });
  let means = [];
  const use = (bytes) => {
    const { floats } = tensorsOf(bytes).ramp;
    means = [floats.reduce((sum, x) => sum + x, 0) / floats.length, floats.at(-1)];
    w.say("The ramp is there.");
    w.commit();
  };
  for (const [name] of model.get("_files"))
    w.stage.append(fileOffer(w, name, { what: "ramp", use }));
  w.begin(
    () => {},
    () => ({ means }),
  );
}

export default { render: onceShown(render) };
