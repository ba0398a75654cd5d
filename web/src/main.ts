import "./styles/tokens.css";
import "./styles/base.css";

import { mount } from "svelte";
import App from "./App.svelte";
import { app } from "./state/app.svelte";
import { router } from "./state/router.svelte";

app.begin();
router.begin();
mount(App, { target: document.getElementById("app")! });
