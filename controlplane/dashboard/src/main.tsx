import { setNonce } from "get-nonce";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/app.tsx";
import "./theme.css";

// Dialogs lock the page's scrolling by a style of their own, which the policy allows by this value.
const nonce = document.querySelector<HTMLMetaElement>("meta[name=writ-nonce]")?.content;
if (nonce) setNonce(nonce);

const root = document.getElementById("root");
if (root)
  createRoot(root).render(
    <StrictMode>
      <App />
    </StrictMode>,
  );
